"""Compares `longview transcribe` with faster-whisper: words and speed, same weights, same threads.

Makes speech with espeak-ng (several voices and speeds), adds noise and music with sox, and lets
both programs transcribe it greedily on two threads, in turns. Prints one JSON line a file and one
for all: the word difference (edits between the two transcripts divided by faster-whisper's words)
and the real-time factor of each (median seconds of work for a second of sound; models loaded).

    python tests/peers/faster_whisper_compare.py --model .deps/models/whisper-tiny.en

needs faster-whisper 1.2.1 in that Python, espeak-ng and sox. Exit 1 if the difference is beyond
--tolerance. `--ours` is the command of the program; {file} and {model} are filled in.
"""
import argparse
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

TEXTS = {
    "harbour": """The harbour wakes before the town does. At five in the morning the first boats
        come back with their lights still on, and the market opens its doors. Two men carry boxes
        of fish across the wet stones while a dog watches them from under a table. By seven
        o'clock the sun stands above the old lighthouse and the first train arrives from the
        city. People buy bread, coffee and newspapers, and nobody is in a hurry. A woman asks when
        the ferry leaves for the island. The captain says that the sea is calm today and that he
        will wait for ten more minutes.""",
    "traffic": """Please look at the road in front of you. A red car is waiting at the corner, and
        a cyclist is crossing from the left. The traffic light has just turned green, but the
        children on the pavement are not looking at it. Slow down, keep your distance, and be
        ready to stop. There is a bus behind you, so do not brake too hard. When the crossing is
        clear, you can drive on. After the bridge, turn right and follow the river for about two
        miles until you reach the hospital.""",
    "garden": """Last summer we planted beans, carrots and tomatoes behind the house. The carrots
        grew well because the soil was deep and soft, but the beans needed more water than we had
        expected. My brother built a small wooden fence to keep the rabbits away. In the evening
        we sat under the apple tree and talked about the next year. We want to keep bees, and
        perhaps a few chickens, if the neighbours agree. Gardens teach you to be patient, my
        grandmother used to say, and she was right about that.""",
    "science": """Light from the sun needs a little more than eight minutes to reach the earth. If
        you could drive there in a car, the journey would take more than one hundred and seventy
        years. The moon is much closer, and people have walked on it. They left small mirrors in
        the dust, and scientists still use them to measure the distance with a laser. Every year
        the moon moves away from us by about four centimetres. It is not much, but over millions
        of years the days become longer.""",
    "library": """Good afternoon, and welcome to the public library. The reading room is on the
        second floor, next to the stairs. You may borrow up to six books for three weeks. If you
        would like to use a computer, please write your name on the list at the front desk. We
        close at half past eight, except on Friday, when we close at six. Please do not bring food
        or drinks into the building. If you cannot find a book, ask one of us. We are always happy
        to help.""",
}

# name, text, espeak-ng voice, words a minute, pitch, background, its level
FILES = [
    ("slow_clean", "harbour", "en-us", 130, 45, None, 0.0),
    ("male_pink_noise", "traffic", "en-us+m3", 150, 40, "pinknoise", 0.02),
    ("british_music", "garden", "en-gb", 150, 50, "music", 0.04),
    ("female_brown_noise", "science", "en-us+f3", 145, 55, "brownnoise", 0.03),
    ("fast_music", "library", "en-us", 175, 45, "music", 0.03),
    ("scottish_white_noise", "harbour", "en-gb-scotland", 140, 50, "whitenoise", 0.005),
]


def run(*command):
    subprocess.run([str(c) for c in command], check=True)


def make_sound(folder, name, text, voice, speed, pitch, background, level):
    """16 kHz mono, 16 bits: a second of silence or background around the speech."""
    speech, sound = folder / f"{name}.speech.wav", folder / f"{name}.wav"
    raw = folder / f"{name}.raw.wav"
    run("espeak-ng", "-v", voice, "-s", speed, "-p", pitch, "-w", raw, " ".join(TEXTS[text].split()))
    run("sox", raw, "-c", 1, "-b", 16, speech, "rate", 16000, "gain", "-n", -6, "pad", 1, 1)
    if background is None:
        speech.rename(sound)
    else:
        behind = folder / f"{name}.behind.wav"
        seconds = f"{length(speech):.3f}"
        synth = [background] if background != "music" else [
            "pluck", "A3", "pluck", "C4", "pluck", "E4", "pluck", "A4"]
        run("sox", "-R", "-n", "-r", 16000, "-b", 16, behind, "synth",
            *(["2"] if background == "music" else [seconds]), *synth, "channels", 1, "gain", "-n",
            *(["repeat", int(float(seconds) / 2) + 1, "trim", 0, seconds]
              if background == "music" else []))
        run("sox", "-m", "-v", 1, speech, "-v", level, behind, "-b", 16, sound)
    return sound


def length(path):
    with wave.open(str(path)) as f:
        return f.getnframes() / f.getframerate()


def words(text):
    return re.sub(r"[^\w' ]+", " ", text.lower().replace("-", " ")).split()


def edits(a, b):
    """Words to insert, delete or replace to turn a into b."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            above, row[j] = row[j], min(above + (x != y), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def peer(model, path, temperatures):
    start = time.perf_counter()
    segments, _ = model.transcribe(str(path), language="en", beam_size=1, best_of=1,
                                   temperature=temperatures)
    text = " ".join(s.text.strip() for s in segments)
    return text, time.perf_counter() - start


def ours(command, path, folder, threads):
    filled = [part.format(file=path, model=folder) for part in shlex.split(command)]
    done = subprocess.run(filled, check=True, stdout=subprocess.PIPE,
                          env=os.environ | {"OMP_NUM_THREADS": str(threads)})
    answer = json.loads(done.stdout)
    timing = answer["timing_ms"]
    return answer["text"], (timing.get("decode", 0) + timing["listen"]) / 1000


def main():
    options = argparse.ArgumentParser(description=__doc__,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", type=Path, required=True)
    options.add_argument("--ours",
                         default="./longview transcribe {file} --json")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--tolerance", type=float, default=0.02)
    options.add_argument("--greedy-only", action="store_true", help="faster-whisper never samples")
    options.add_argument("--keep", type=Path, help="leave the sounds in this folder")
    options.add_argument("--show", action="store_true", help="print both transcripts")
    chosen = options.parse_args()

    from faster_whisper import WhisperModel
    model = WhisperModel(str(chosen.model), device="cpu", compute_type="float32",
                         cpu_threads=chosen.threads)
    temperatures = [0.0] if chosen.greedy_only else [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    total = dict(words=0, edits=0, truth_words=0, ours_wrong=0, peer_wrong=0)
    seconds, spent = 0.0, dict(ours=0.0, peer=0.0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        sounds = [(f[0], f[1], make_sound(folder, *f)) for f in FILES]
        everything = folder / "everything.wav"
        run("sox", *[s for _, _, s in sounds], everything)
        for name, text, sound in [*sounds, ("everything", None, everything)]:
            times = dict(ours=[], peer=[])
            for _ in range(chosen.repeats):
                peer_text, took = peer(model, sound, temperatures)
                times["peer"].append(took)
                our_text, took = ours(chosen.ours, sound, chosen.model, chosen.threads)
                times["ours"].append(took)
            truth = words(" ".join(TEXTS[f[1]] for f in FILES) if text is None else TEXTS[text])
            line = dict(words=len(words(peer_text)), edits=edits(words(peer_text), words(our_text)),
                        truth_words=len(truth), ours_wrong=edits(truth, words(our_text)),
                        peer_wrong=edits(truth, words(peer_text)))
            medians = {k: statistics.median(v) for k, v in times.items()}
            print(json.dumps(dict(file=name, seconds=round(length(sound), 2), **line,
                                  **{f"rtf_{k}": round(v / length(sound), 4)
                                     for k, v in medians.items()})), flush=True)
            if chosen.show:
                print(f"  peer: {peer_text}\n  ours: {our_text}", flush=True)
            seconds += length(sound)
            total = {k: total[k] + line[k] for k in total}
            spent = {k: spent[k] + medians[k] for k in spent}
    difference = total["edits"] / max(1, total["words"])
    print(json.dumps(dict(file="all", seconds=round(seconds, 2), **total,
                          word_difference=round(difference, 4),
                          **{f"rtf_{k}": round(v / seconds, 4) for k, v in spent.items()},
                          speed_ratio=round(spent["peer"] / spent["ours"], 3))))
    return 0 if difference <= chosen.tolerance else 1


if __name__ == "__main__":
    sys.exit(main())
