"""Compares our decoder with the program ffmpeg: frames a second of H.264, both on the CPU, as many threads.

    ninja -C build/cpu longview
    python tests/peers/ffmpeg_compare.py [FILM] --sessions 1,2 --threads 1

Without a film, one of 1080p with 8 Mbit/s is made of a moving test picture with noise. Several sessions are several processes
of ffmpeg (`-f null`), and one process of ours. They decode in turns, so that they meet the same load. Prints a JSON object a
number of sessions: the medians of each, and of their ratios. Needs ffmpeg.
"""
import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def make_film(path, seconds):
    picture = f"testsrc2=size=1920x1080:rate=30:duration={seconds},noise=alls=12:allf=t,format=yuv420p"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", picture, "-c:v", "libx264", "-preset", "veryfast",
                    "-b:v", "8M", "-maxrate", "8M", "-bufsize", "8M", path], check=True)


def time_ours(args, film, sessions):
    command = [args.program, "bench", "decode", "--input", film, "--sessions", sessions, "--threads", args.threads,
               "--repeat", 1]
    done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def time_theirs(args, film, sessions, frames):
    command = ["ffmpeg", "-v", "error", "-nostdin", "-threads", str(args.threads), "-i", film, "-map", "0:v:0", "-f", "null", "-"]
    start = time.perf_counter()
    running = [subprocess.Popen(command) for _ in range(sessions)]
    if any(process.wait() != 0 for process in running):
        raise SystemExit("ffmpeg failed")
    return sessions * frames / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path, nargs="?")
    parser.add_argument("--program", type=Path, default=ROOT / "build/cpu/apps/longview")
    parser.add_argument("--sessions", default="1,2", help="a list by commas")
    parser.add_argument("--threads", type=int, default=1, help="of each session")
    parser.add_argument("--seconds", type=int, default=20, help="of the film that is made")
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        film = args.film
        if film is None:
            film = Path(folder) / "film.mp4"
            make_film(film, args.seconds)
        for sessions in map(int, args.sessions.split(",")):
            ours, theirs = [], []
            for _ in range(args.repeat):
                ours.append(time_ours(args, film, sessions))
                theirs.append(time_theirs(args, film, sessions, ours[-1]["frames"]))
            rates = [line["frames_per_second"] for line in ours]
            line = {key: ours[0][key] for key in ("codec", "width", "height", "frames", "sessions", "threads", "cores")}
            line |= {"ours": round(statistics.median(rates), 1), "ffmpeg": round(statistics.median(theirs), 1),
                     "ratio": round(statistics.median(a / b for a, b in zip(rates, theirs)), 3),
                     "cores_busy": round(statistics.median(one["cores_busy"] for one in ours), 2)}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
