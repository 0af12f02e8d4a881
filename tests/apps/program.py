"""Runs the program that was built, and makes files for it to read."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

PROGRAM = os.environ["LONGVIEW_PROGRAM"]
CHECKOUT = Path(__file__).resolve().parents[2]
SAMPLES = CHECKOUT / ".deps" / "samples"
SHORT = ["--frames", "2", "--max-tokens", "8"]   # enough to see that it works


def run(*arguments, timeout=300):
    """Exit status, standard output, standard error."""
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
                          check=False)
    return done.returncode, done.stdout, done.stderr


def result_of(*arguments):
    """What --json prints."""
    status, output, errors = run(*arguments, "--json")
    if status != 0:
        raise AssertionError(errors)
    return json.loads(output)


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


class Serving:
    """`longview serve` in a process of its own, on a port that it picks."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([PROGRAM, "serve", "--address", "127.0.0.1:0", *arguments],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        match = re.search(r"serving at (\S+)", line)
        if not match:
            self.stop()
            raise AssertionError(f"serve {arguments}: expected an address, got {line!r}")
        self.address = match[1]

    def stop(self, how=signal.SIGTERM):
        """Ends the process and returns its exit status."""
        self.process.send_signal(how)
        status = self.process.wait(timeout=60)
        self.process.stdout.close()
        return status
