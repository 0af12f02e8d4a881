"""Compares our language model with llama.cpp: logits, greedy text and speed, same GGUF, same threads.

    cmake --build build/cpu --target llm_bench
    python tests/peers/llama_cpp_compare.py .deps/models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf

Reads one text with both programs and compares the scores of every position: ours, llama.cpp's,
and llama.cpp's on the same weights written out as float32 (with quantised weights it rounds
activations to 8 bits, we to 16). Continues the text greedily, then times prefill and decode
in turns. Prints one JSON object; exit 1 if ours and the float32 run agree on the most likely token
at fewer than --agreement of the positions. Needs llama-cpp-python 0.3.36, gguf 0.19.0, numpy.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import gguf
import llama_cpp
import numpy as np

ROOT = Path(__file__).resolve().parents[2]


def ours(args, **options):
    text = ",".join(f"{k}={v}" for k, v in dict(options, threads=args.threads).items())
    done = subprocess.run([str(args.bench), str(args.model), text], check=True, capture_output=True, text=True,
                          env=dict(os.environ, OMP_WAIT_POLICY="passive"))  # as the program sets it
    return json.loads(done.stdout) if done.stdout else None


def theirs(args, path=None, **options):
    return llama_cpp.Llama(str(path or args.model), n_ctx=2048, n_batch=512, n_threads=args.threads,
                           n_threads_batch=args.threads, verbose=False, **options)


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def write_f32(source, target):
    """The same weights, dequantised: what llama.cpp then computes is not rounded to 8 bits."""
    reader = gguf.GGUFReader(source)
    field = lambda name: reader.fields[name].contents()
    writer = gguf.GGUFWriter(target, field("general.architecture"))
    for name, value in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        kind = value.types[0]
        writer.add_key_value(name, value.contents(), kind, value.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    for tensor in reader.tensors:
        weights = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        writer.add_tensor(tensor.name, np.ascontiguousarray(weights))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def compare(got, expected):
    p, q = log_softmax(expected), log_softmax(got)
    difference = np.abs(got - expected)
    return dict(top1_agreement=float((got.argmax(-1) == expected.argmax(-1)).mean()),
                max_difference=float(difference.max()), mean_difference=float(difference.mean()),
                logit_spread=float(expected.std()), mean_kl=float((np.exp(p) * (p - q)).sum(-1).mean()))


def logits_of_theirs(args, ids, path=None):
    model = theirs(args, path, logits_all=True)
    model.eval(ids)
    return np.array(model.scores[: len(ids)])


def compare_logits(args, ids, folder):
    ids_file, logits_file = folder / "ids.txt", folder / "logits.bin"
    ids_file.write_text(" ".join(map(str, ids)))
    ours(args, ids=ids_file, logits=logits_file)
    got = np.fromfile(logits_file, np.float32).reshape(len(ids), -1)
    write_f32(args.model, folder / "f32.gguf")
    exact = logits_of_theirs(args, ids, folder / "f32.gguf")
    rounded = logits_of_theirs(args, ids)
    return dict(positions=len(ids), ours_to_exact=compare(got, exact), ours_to_theirs=compare(got, rounded),
                theirs_to_exact=compare(rounded, exact))


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
    return len(ids) / prefill, (new - 1) / (time.perf_counter() - start), answer


def compare_speed(args, ids, folder):
    (folder / "ids.txt").write_text(" ".join(map(str, ids)))
    model = theirs(args)
    time_theirs(model, ids, 4)
    runs = []
    for _ in range(args.repeat):  # in turns, so that both meet the same load
        mine = ours(args, ids=folder / "ids.txt", new=args.new, repeat=1)
        prefill, decode, answer = time_theirs(model, ids, args.new)
        runs.append((mine, prefill, decode, answer))
    same = next((i for i, (a, b) in enumerate(zip(runs[0][0]["ids"], runs[0][3])) if a != b), args.new)
    pick = lambda f: statistics.median(map(f, runs))
    result = dict(greedy_tokens_equal=same, greedy_ours=model.detokenize(runs[0][0]["ids"]).decode(errors="replace"),
                  greedy_theirs=model.detokenize(runs[0][3]).decode(errors="replace"))
    for name, mine, other in (("prefill", lambda r: r[0]["prefill_tokens_per_second"], lambda r: r[1]),
                              ("decode", lambda r: r[0]["decode_tokens_per_second"], lambda r: r[2])):
        result[f"{name}_ours"], result[f"{name}_theirs"] = pick(mine), pick(other)
        result[f"{name}_ratio"] = pick(lambda r: mine(r) / other(r))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--bench", type=Path, default=ROOT / "build/cpu/tests/bench/llm_bench")
    parser.add_argument("--text", type=Path, default=ROOT / "LICENSE")
    parser.add_argument("--positions", type=int, default=512)
    parser.add_argument("--new", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--agreement", type=float, default=0.98)
    args = parser.parse_args()
    text = " ".join(args.text.read_text().split())
    ids = theirs(args, vocab_only=True).tokenize(text.encode(), add_bos=False)[: args.positions]
    with tempfile.TemporaryDirectory() as folder:
        result = compare_logits(args, ids, Path(folder))
        result.update(compare_speed(args, ids, Path(folder)))
    print(json.dumps(result))
    sys.exit(result["ours_to_exact"]["top1_agreement"] < args.agreement)


if __name__ == "__main__":
    main()
