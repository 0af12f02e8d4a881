"""Where a step's time goes on this machine: python -m recipe.measure. Not part of a training: what it learns is thrown away."""
import argparse
import json
import time
from pathlib import Path

import torch

from .assets import Assets
from .train import Run


def measured(run, seconds):
    """Steps for so long: seconds of each, the first apart, and what was waited for data."""
    lines, until = [], time.monotonic() + seconds
    while len(lines) < 4 or time.monotonic() < until:
        lines.append(run.step(1.0))
    took = [line["took"] for line in lines[2:]]
    return {"steps": len(lines), "first": lines[0]["took"], "second": lines[1]["took"], "mean": round(sum(took) / len(took), 3),
            "median": sorted(took)[len(took) // 2], "waited share": round(sum(line["waited"] for line in lines[2:]) / sum(took), 3),
            "loss": [[each["answer"] for each in line["micro"]] for line in (lines[0], lines[-1])]}


def parts(run):
    """Seconds of each micro-batch of one step, forward and backward, waited for."""
    from .model import step
    found = {}
    for batch in next(run.source):
        torch.cuda.synchronize()
        begin = time.monotonic()
        with torch.autocast("cuda", torch.bfloat16):
            lost = step.losses(run.model, batch, run.device, torch.Generator().manual_seed(1))
        launched = time.monotonic() - begin
        torch.cuda.synchronize()
        forward = time.monotonic() - begin
        step.weighted(lost).backward()
        torch.cuda.synchronize()
        found[f"{batch.task} {tuple(batch.pictures.shape[:3])} keep {batch.keep}"] = [round(x, 3) for x in (launched, forward, time.monotonic() - begin)]
    run.optimizer.zero_grad(set_to_none=True)
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--assets", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=float, default=35)
    parser.add_argument("--workers", type=int, default=14)
    given = parser.parse_args()
    begin = time.monotonic()
    run = Run(Assets(given.assets), given.out, given.workers)
    found = {"ready after": round(time.monotonic() - begin, 1), "device": torch.cuda.get_device_name()}
    found["plain"] = measured(run, given.seconds)
    found["plain"]["parts"] = parts(run)
    found["plain"]["GiB"] = round(torch.cuda.max_memory_allocated() / 2**30, 1)
    print(json.dumps(found, indent=1), flush=True)
    run.save(everything=False)
    try:
        torch.cuda.reset_peak_memory_stats()
        for layer in run.model.language.layers:
            layer.compile(dynamic=True)
        begin = time.monotonic()
        found["compiled"] = measured(run, 8 + given.seconds / 2)
        found["compiled"]["in all"] = round(time.monotonic() - begin, 1)
        found["compiled"]["parts"] = parts(run)
        found["compiled"]["GiB"] = round(torch.cuda.max_memory_allocated() / 2**30, 1)
        faster = found["compiled"]["mean"] < .93 * found["plain"]["mean"]
    except Exception as problem:   # a missing compiler must not cost the rest
        found["compiled"], faster = repr(problem)[:600], False
    (given.out.parent / "compiled").write_text("--compile" if faster else "")
    print(json.dumps(found["compiled"], indent=1), flush=True)
    (given.out / "measured.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
