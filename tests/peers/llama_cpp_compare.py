"""Compares our language model with llama.cpp: speed, memory and greedy text, same GGUF, same threads.

    ninja -C build/cpu longview
    python tests/peers/llama_cpp_compare.py .deps/models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf

Both read the same tokens of a text and continue it greedily, in turns, so that they meet the same
load. Prints one JSON object: medians of each, of their ratios, and the peaks of memory, of which
llama.cpp's is what the process took beyond Python. Needs llama-cpp-python 0.3.36 and numpy.
"""
import argparse
import json
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import llama_cpp
import numpy as np

ROOT = Path(__file__).resolve().parents[2]


def peak_bytes():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def time_ours(args, ids_file):
    """The median of three, as the first meets a process that has just begun."""
    command = [args.program, "bench", "llm", "--model", args.model, "--ids", ids_file, "--threads", args.threads,
               "--prompt-tokens", args.prompt, "--new-tokens", args.new, "--repeat", 3]
    done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    line = json.loads(done.stdout)
    return dict(prefill=line["prefill_tokens_per_second"], decode=line["decode_tokens_per_second"],
                ids=line["ids"], peak=line["peak_memory_bytes"])


def next_id(model):
    """The most likely token after what was read; without logits_all only the last row exists."""
    row = llama_cpp.llama_get_logits_ith(model.ctx, -1)
    return int(np.argmax(np.ctypeslib.as_array(row, shape=(model.n_vocab(),))))


def time_theirs(model, ids, new):
    model.reset()
    start = time.perf_counter()
    model.eval(ids)
    answer = [next_id(model)]
    prefill = time.perf_counter() - start
    start = time.perf_counter()
    for _ in range(new - 1):
        model.eval(answer[-1:])
        answer.append(next_id(model))
    return dict(prefill=len(ids) / prefill, decode=(new - 1) / (time.perf_counter() - start), ids=answer)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--program", type=Path, default=ROOT / "build/cpu/apps/longview")
    parser.add_argument("--text", type=Path, default=ROOT / "LICENSE")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--new", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    before = peak_bytes()
    model = llama_cpp.Llama(str(args.model), n_ctx=args.prompt + args.new, n_batch=512, n_threads=args.threads,
                            n_threads_batch=args.threads, verbose=False)
    text = " ".join(args.text.read_text().split())
    ids = model.tokenize(text.encode(), add_bos=False)[: args.prompt]
    time_theirs(model, ids, 4)
    with tempfile.NamedTemporaryFile("w", suffix=".ids") as file:
        file.write(" ".join(map(str, ids)))
        file.flush()
        runs = [(time_ours(args, file.name), time_theirs(model, ids, args.new)) for _ in range(args.repeat)]

    result = dict(prompt_tokens=len(ids), new_tokens=args.new, threads=args.threads)
    for name in ("prefill", "decode"):
        result[f"{name}_ours"] = statistics.median(ours[name] for ours, _ in runs)
        result[f"{name}_theirs"] = statistics.median(theirs[name] for _, theirs in runs)
        result[f"{name}_ratio"] = statistics.median(ours[name] / theirs[name] for ours, theirs in runs)
    result["peak_bytes_ours"] = max(ours["peak"] for ours, _ in runs)
    result["peak_bytes_theirs"] = peak_bytes() - before
    answers = list(zip(runs[0][0]["ids"], runs[0][1]["ids"]))
    result["greedy_tokens_equal"] = next((i for i, (a, b) in enumerate(answers) if a != b), len(answers))
    for name, one in (("ours", runs[0][0]), ("theirs", runs[0][1])):
        result[f"greedy_{name}"] = model.detokenize(one["ids"]).decode(errors="replace")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
