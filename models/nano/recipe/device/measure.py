"""How long a step takes without waiting for data, as it is and compiled, and in what: python -m recipe.device.measure ASSETS WORKERS SECONDS, from models/nano."""
import itertools
import sys
import tempfile
import time
from pathlib import Path

import torch

from .. import assets, train

STEPS = 10      # drawn, and gone through again and again


def timed(run, steps):
    """Seconds of each of so many steps."""
    found = []
    for _ in range(steps):
        begin = time.monotonic()
        run.step(1.0)
        torch.cuda.synchronize()
        found.append(round(time.monotonic() - begin, 3))
    return found


def through(run, steps):
    """Seconds a step where nothing waits in between."""
    begin = time.monotonic()
    for _ in range(steps):
        run.step(1.0)
    torch.cuda.synchronize()
    return round((time.monotonic() - begin) / steps, 3)


def main(folder, workers, seconds):
    begin = time.monotonic()

    def told(*what):
        print(round(time.monotonic() - begin, 1), *what, flush=True)

    run = train.Run(assets.Assets(Path(folder)), tempfile.mkdtemp(), workers)
    told("ready", torch.cuda.get_device_name(), torch.__version__)
    source = run.ahead.source
    steps = list(itertools.islice(source, STEPS))
    told("drawn", STEPS, "steps, echoes among them")
    run.ahead.source = itertools.cycle(steps)
    for compiled in (False, True):
        if compiled:
            run.model.language.layer_of = torch.compile(run.model.language.layer_of, dynamic=True)
        told("compiled" if compiled else "as it is", "first steps", timed(run, 3))
        told("steps one by one", timed(run, STEPS))
        told("seconds a step", through(run, STEPS), "memory GB", round(torch.cuda.max_memory_allocated() / 2**30, 1))
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            through(run, 5)
        table = sorted(((each.key, each.self_device_time_total / 5000, each.count / 5) for each in profile.key_averages()), key=lambda row: -row[1])
        told("device ms a step", round(sum(ms for _, ms, _ in table), 1), "kernels", round(sum(count for *_, count in table)))
        for name, ms, count in table[:22]:
            print(f"{ms:8.2f} ms {count:7.0f}  {name[:110]}", flush=True)
        if time.monotonic() - begin > seconds:
            break
    more = time.monotonic()
    drawn = 0
    while drawn < 8 and time.monotonic() - begin < seconds + 30:
        next(source)
        drawn += 1
    told("seconds a drawn step, nothing else running", round((time.monotonic() - more) / max(drawn, 1), 3), drawn)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
