#!/usr/bin/env python3
"""How long a server goes on working after its client went away, by the stage that it was in.

    LONGVIEW_PROGRAM=build/cpu/apps/longview tests/bench/cancel_times.py clip-with-speech.mp4

Kills `longview caption --server` at random moments and watches the processor time of the server.
Prints one JSON line a stage: milliseconds until its last tick, median and worst.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "apps"))
from program import PROGRAM, Serving  # noqa: E402

SAMPLE_SECONDS = 0.005
QUIET_SECONDS = 0.5   # without a tick: it has stopped
STAGES = ("listen", "encode", "generate")


def ticks(pid):
    """Processor time of a process, in nanoseconds. Finer than /proc/PID/stat."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            total += int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def busy_after(pid):
    """Milliseconds until the process stops computing. Watching over a call costs it a little."""
    start = last = time.monotonic()
    before = ticks(pid)
    while time.monotonic() - last < QUIET_SECONDS:
        began = time.monotonic()
        time.sleep(SAMPLE_SECONDS)
        now = ticks(pid)
        if abs(now - before) > 0.2e9 * (time.monotonic() - began):   # a fifth of a core
            last = time.monotonic()
        before = now
    return 1000 * (last - start)


def cancel_in(stage, clip, address, pid):
    client = subprocess.Popen([PROGRAM, "caption", clip, "--server", address, "--frames", "64", "--max-tokens", "500"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in client.stderr:
        if line.strip() == f"longview: {stage}":
            break
    else:
        raise SystemExit(f"{clip}: expected the stage {stage}, got an end")
    time.sleep(random.uniform(0.02, 1.0))
    client.send_signal(signal.SIGKILL)
    milliseconds = busy_after(pid)
    client.wait()
    client.stderr.close()
    return milliseconds


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("clip", help="a film of half a minute or more, with speech")
    arguments.add_argument("--repeats", type=int, default=10)
    arguments = arguments.parse_args()
    random.seed(0)
    serving = Serving()
    try:
        for stage in STAGES:
            measured = sorted(cancel_in(stage, arguments.clip, serving.address, serving.process.pid)
                              for _ in range(arguments.repeats))
            print(json.dumps({"bench": "cancel", "stage": stage, "runs": len(measured),
                              "median_ms": round(statistics.median(measured)), "worst_ms": round(measured[-1])}),
                  flush=True)
    finally:
        serving.stop()


if __name__ == "__main__":
    main()
