"""Runs the fuzz targets, one after the other, each for a bounded time.

  cmake --preset fuzz && ninja -C build/fuzz fuzzers
  python3 tests/fuzz/run.py [TARGET ...] [--seconds 600] [--build build/fuzz]

A target starts from small files: those of tests/data, a few media files that FFmpeg's program makes, a few messages that protoc
writes. What it finds stays in BUILD/corpus/TARGET, of which only files that reach something new are kept, and in BUILD/crashes.
Prints a line a target: runs, edges reached, files kept, findings. Exit code 1 if anything was found."""
import argparse
import json
import math
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = ROOT / "tests/data"
TARGETS = ("json", "safetensors", "gguf", "projector", "folder", "plan", "tokenizer", "sentence_piece", "template", "demuxer", "codec")
MAX_BYTES = 1 << 16  # of one input: what matters is in headers
TEXT = "Hello  wörld, don't: <|im_start|> 123 日本\n"

VIDEO = ["-f", "lavfi", "-i", "testsrc=size=48x32:rate=5:duration=1"]
PICTURE = ["-f", "lavfi", "-i", "testsrc=size=48x32", "-frames:v", "1"]
SOUND = ["-f", "lavfi", "-i", "sine=duration=0.2"]
MEDIA = {"a.mp4": VIDEO + ["-c:v", "libx264"], "both.mkv": VIDEO + SOUND + ["-c:v", "libx264", "-c:a", "aac"], "a.avi": VIDEO + ["-c:v", "mpeg4"],
         "a.webm": VIDEO + ["-c:v", "libvpx"], "a.ts": VIDEO + ["-c:v", "mpeg2video"], "a.gif": VIDEO, "a.png": PICTURE, "a.jpg": PICTURE,
         "a.webp": PICTURE, "a.bmp": PICTURE, "a.tiff": PICTURE, "a.wav": SOUND, "a.flac": SOUND, "a.mp3": SOUND, "a.ogg": SOUND + ["-c:a", "libvorbis"]}

FLOATS = "dtype: DTYPE_FLOAT32 shape: 1 shape: 2 data: '\\0\\0\\0\\0\\0\\0\\200?'"
ORIGIN = ("pts_seconds { dtype: DTYPE_FLOAT64 shape: 1 data: '\\0\\0\\0\\0\\0\\0\\0\\0' } source { dtype: DTYPE_INT32 shape: 1 data: '\\0\\0\\0\\0' }"
          "box { dtype: DTYPE_FLOAT32 shape: 1 shape: 4 data: '\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\200?\\0\\0\\200?' } flags { dtype: DTYPE_UINT8 shape: 1 data: '\\1' }")
TOKENS = f"embeddings {{ {FLOATS} }} sizes {{ dtype: DTYPE_FLOAT32 shape: 1 data: '\\0\\0\\200?' }} origin {{ {ORIGIN} }}"
VISUAL = (f"features {{ {FLOATS} }} offsets {{ dtype: DTYPE_INT32 shape: 2 data: '\\0\\0\\0\\0\\1\\0\\0\\0' }} grids {{ rows: 1 columns: 1 }}"
          f"origin {{ {ORIGIN} }} labels {{ name: 'cat' probability: 0.5 }}")
DELTAS = f"deltas {{ target: 'x' down {{ {FLOATS} }} up {{ dtype: DTYPE_FLOAT32 shape: 2 shape: 1 data: '\\0\\0\\0\\0\\0\\0\\200?' }} }}"
MESSAGES = {  # by the number that codec_fuzz.cpp gives the message
    0: ("FrameBatch", "pixels { dtype: DTYPE_UINT8 shape: [1, 1, 1, 3] data: 'abc' } pts_seconds { dtype: DTYPE_FLOAT64 shape: 1 data: '\\0\\0\\0\\0\\0\\0\\0\\0' }"),
    1: ("AudioChunk", f"samples {{ {FLOATS} }} sample_rate_hz: 16000 pts_seconds: 1 warnings: 'w'"),
    2: ("AudioTokens", "speech { start_seconds: 0 end_seconds: 1 text: 'hi' } language: 'en'"),
    3: ("VisualTokens", VISUAL),
    4: ("ClipTokens", f"visual {{ {VISUAL} }}"),
    5: ("CompressedTokens", TOKENS),
    6: ("AdapterWeights", DELTAS),
    7: ("VisualContext", f"tokens {{ {TOKENS} }}"),
    8: ("Prompt", f"messages {{ role: 'user' parts {{ text: 'a' }} parts {{ tokens {{ {TOKENS} }} }} }} "
        "messages { role: 'assistant' tool_calls { id: '1' name: 'f' arguments: '{\"a\": [1, 2.5]}' } } messages { role: 'tool' tool_call_id: '1' tool_name: 'f' }"
        f"options {{ max_tokens: 3 stop: 'b' }} adapters {{ {DELTAS} }} tools: '{{\"name\": null}}'"),
    9: ("TextDelta", "text: 'a' last: true finish: FINISH_REASON_STOP"),
    10: ("Sampling", "uniform { count: 4 } start_seconds: 1 end_seconds: 2"),
    12: ("GenerationOptions", "max_tokens: 5 temperature: 1 top_k: 2 top_p: 0.5 stop: 'x'"),
}
PLANS = (b'{"layers": [{"mixer": "attention", "span": {"kind": "window", "size": 1024}, "kv": {"format": "dense"}}], "context": 131072}',
         b'{"layers": [{}, {"span": {"kind": "full"}}, {"mixer": "attn"}], "rope": {"kind": "yarn", "factor": 4, "orig": 32768, "theta": 1e6}}')


def files(pattern):
    return [path.read_bytes() for path in sorted(DATA.glob(pattern)) if path.stat().st_size <= MAX_BYTES]


def gguf(keys, tensors):
    """A GGUF file of float32 zeros. A key is a string, a list of floats, a boolean or a whole number."""
    def text(x):
        return struct.pack("<Q", len(x)) + x.encode()

    def value(x):
        if isinstance(x, str):
            return struct.pack("<I", 8) + text(x)
        if isinstance(x, list):
            return struct.pack(f"<IIQ{len(x)}f", 9, 6, len(x), *x)
        return struct.pack("<I?", 7, x) if isinstance(x, bool) else struct.pack("<II", 4, x)

    out, data = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)), 0
    for key, x in keys.items():
        out += text(key) + value(x)
    for name, shape in tensors.items():
        out += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape[::-1], 0, data)
        data += -(-4 * math.prod(shape) // 32) * 32
    return out + bytes(-len(out) % 32 + data)


def qwen_eyes():
    """The projector of a tiny Qwen2.5-VL."""
    sizes = dict(embedding_length=8, feed_forward_length=8, block_count=2, image_size=8, patch_size=2, n_wa_pattern=2, spatial_merge_size=2)
    keys = {"general.architecture": "clip", "clip.projector_type": "qwen2.5vl_merger", "clip.vision.attention.head_count": 2,
            "clip.vision.image_mean": [0.5] * 3, "clip.vision.image_std": [0.5] * 3, **{f"clip.vision.{key}": x for key, x in sizes.items()}}
    layer = [f"{name}.weight" for name in ("attn_q", "attn_k", "attn_v", "attn_out", "ffn_gate", "ffn_up", "ffn_down")]
    tensors = {f"v.blk.{i}.{name}": [8, 8] for i in range(2) for name in layer}
    return gguf(keys, {**tensors, "v.patch_embd.weight": [8, 3, 2, 2], "v.patch_embd.weight.1": [8, 3, 2, 2], "v.post_ln.weight": [8],
                       "mm.0.weight": [32, 32], "mm.2.weight": [8, 32]})


def shrunk(paths):
    """A safetensors file with the names of several, each tensor of one or two bytes an axis."""
    header, data = {}, 0
    for path in paths:
        content = path.read_bytes()
        for name, tensor in json.loads(content[8:8 + int.from_bytes(content[:8], "little")]).items():
            if name != "__metadata__":
                shape = [min(2, n) for n in tensor["shape"]]
                header[name] = dict(dtype="U8", shape=shape, data_offsets=[data, data := data + math.prod(shape)])
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(data)


def folder_seeds():
    """Models that see: one configuration or, for xtuner's, three, and the tensors."""
    seeds = []
    for folder in sorted((DATA / "whole").glob("tiny_*/")):
        parts = [folder / part for part in ("", "visual_encoder", "projector") if (folder / part / "config.json").is_file()]
        configs = b"".join((part / "config.json").read_bytes() + b"\0" for part in parts)
        seeds += [bytes([len(parts) != 1]) + configs + shrunk([part / "model.safetensors" for part in parts])]
    return seeds


def template_seeds():
    goldens = json.loads((DATA / "template/goldens.json").read_text())
    sources = {case["source"] for case in goldens["cases"]}
    return [goldens["sources"].get(source, source).encode() for source in sorted(sources)] + files("template/families/*.jinja")


def media_seeds(folder):
    if not shutil.which("ffmpeg"):
        return []
    seeds = []
    for name, options in MEDIA.items():
        subprocess.run(["ffmpeg", "-v", "quiet", "-y", *options, "-shortest", str(folder / name)], check=False)
        seeds += [(folder / name).read_bytes()] if (folder / name).exists() else []
    return seeds


def message_seeds():
    seeds = []
    protos = ROOT / "proto"
    sources = [str(path.relative_to(protos)) for path in sorted(protos.glob("longview/v1/*.proto"))]
    for number, (name, text) in MESSAGES.items():
        done = subprocess.run(["protoc", f"--encode=longview.v1.{name}", *sources], input=text.encode(), cwd=protos, capture_output=True)
        seeds += [bytes([number]) + done.stdout] if done.returncode == 0 else []
    return seeds


def seeds_of(target, folder):
    if target == "json":
        return files("tokenizer/*.json")
    if target == "safetensors":
        return files("weights/**/*.safetensors")
    if target == "gguf":
        return files("weights/*.gguf") + files("llm/*.gguf")
    if target == "projector":
        return files("whole_gguf/*/mmproj.gguf") + [qwen_eyes()]
    if target == "folder":
        return folder_seeds()
    if target == "plan":
        return list(PLANS)
    if target == "tokenizer":
        return [source + b"\0" + TEXT.encode() for source in files("tokenizer/*.json") if source.startswith(b'{"version"')]
    if target == "sentence_piece":
        return files("tokenizer/*.model")
    if target == "template":
        return template_seeds()
    return media_seeds(folder) if target == "demuxer" else message_seeds()


def prepare(target, build):
    """The target's corpus: what earlier runs kept, and the seeds."""
    corpus, made = build / "corpus" / target, build / "corpus" / "made"
    for folder in (corpus, made, build / "crashes"):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds_of(target, made)):
        (corpus / f"seed_{number}").write_bytes(seed)
    return corpus


def fuzz(target, build, seconds):
    corpus = prepare(target, build)
    program = build / f"tests/fuzz/{target}_fuzz"
    environment = dict(os.environ, OMP_NUM_THREADS="1", UBSAN_OPTIONS="print_stacktrace=1", ASAN_OPTIONS="detect_odr_violation=0")
    before = set((build / "crashes").glob("*"))
    log = build / "crashes" / f"{target}.log"
    with open(log, "w") as out:
        status = subprocess.run([program, f"-max_total_time={seconds}", f"-max_len={MAX_BYTES}", "-timeout=25", "-rss_limit_mb=2048", "-print_final_stats=1",
                                 f"-artifact_prefix={build}/crashes/{target}_", corpus], stdout=out, stderr=out, env=environment).returncode
    found = sorted(path for path in set((build / "crashes").glob("*")) - before if path != log)
    kept = corpus.with_name(target + ".small")
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    merged = subprocess.run([program, "-merge=1", f"-max_len={MAX_BYTES}", "-timeout=25", "-rss_limit_mb=2048", f"-artifact_prefix={build}/crashes/{target}_", kept,
                             corpus], capture_output=True, env=environment)
    if merged.returncode == 0:
        shutil.rmtree(corpus)
        kept.rename(corpus)
    text = log.read_text(errors="replace")
    runs = re.search(r"number_of_executed_units: (\d+)", text)
    edges = re.findall(r" cov: (\d+)", text)
    print(f"{target:14s} {runs[1] if runs else '?':>10s} runs {edges[-1] if edges else '?':>6s} edges {len(list(corpus.glob('*'))):5d} files"
          f" {'nothing found' if status == 0 else f'FOUND, exit code {status}: ' + ' '.join(map(str, found)) + f' {log}'}", flush=True)
    return status == 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("targets", nargs="*", metavar="TARGET", help=" ".join(TARGETS))
    arguments.add_argument("--seconds", type=int, default=600, help="for each target")
    arguments.add_argument("--build", type=Path, default=ROOT / "build/fuzz")
    given = arguments.parse_args()
    unknown = set(given.targets) - set(TARGETS)
    if unknown:
        arguments.error(f"expected some of {' '.join(TARGETS)}, got {' '.join(sorted(unknown))}")
    sys.exit(0 if all([fuzz(target, given.build.resolve(), given.seconds) for target in given.targets or TARGETS]) else 1)
