"""Configures and builds a preset, quietly, and runs its tests."""

import os
import re
import subprocess
import sys
import time

from setup_steps import BUILD, ROOT, SetupError, key_of, last_lines, remove, run, say


def jobs():
    """How many compilers at once: one a core, and 1.5 GB of memory for each."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(len(os.sched_getaffinity(0)), int(memory / 1.5e9)))


def cmake_options():
    """What the caller's environment adds to the preset."""
    options = os.environ.get("LV_CMAKE_ARGS", "").split()
    if "LV_TORCH_ROOT" in os.environ:
        options.append(f"-DLV_TORCH_ROOT={os.environ['LV_TORCH_ROOT']}")
    return options


def configure(preset):
    """Runs CMake unless this preset is configured already; what changes later, Ninja sees."""
    folder = BUILD / preset
    stamp = folder / ".configured"
    home = f"{ROOT}\n"
    key = home + key_of(ROOT / "CMakePresets.json", cmake_options())
    before = stamp.read_text() if stamp.exists() else None
    if before == key and (folder / "build.ninja").exists():
        return
    if before and not before.startswith(home):
        remove(folder)   # the checkout was moved or copied: its objects name the old place
    say(f"configuring ({preset})")
    log = BUILD / f"configure-{preset}.log"
    remove(log)
    if run(["cmake", "--fresh", "--preset", preset, *cmake_options()], log, cwd=ROOT) != 0:
        raise SetupError(f"CMake failed\n{last_lines(log, start='CMake Error')}\n  log: {log}")
    stamp.write_text(key)


class Progress:
    """Shows Ninja's count: rewritten on a terminal, a line a minute elsewhere."""

    def __init__(self, preset):
        self.preset = preset
        self.terminal = sys.stderr.isatty()
        self.start = self.shown = None

    def __call__(self, line):
        count = re.match(r"\[(\d+)/(\d+)\] (?!Re-)", line)
        if not count:
            return
        now = time.monotonic()
        if self.start is None:
            self.start = now
        elif not self.terminal and now - self.shown < 60:
            return
        self.shown = now
        text = f"longview: building ({self.preset}) {count[1]} of {count[2]}"
        print(f"\r{text}" if self.terminal else text, file=sys.stderr,
              end="" if self.terminal else "\n", flush=True)

    def end(self):
        if self.start is not None:
            done = f"longview: built in {time.monotonic() - self.start:.0f} s"
            print(f"\r{done:<60}" if self.terminal else done, file=sys.stderr, flush=True)


def build(preset, targets):
    """Brings the targets up to date; with nothing to do it costs Ninja's look at the files."""
    configure(preset)
    log = BUILD / f"build-{preset}.log"
    remove(log)
    progress = Progress(preset)
    # ccache keeps its store in the checkout unless the caller has one.
    environment = {"CCACHE_DIR": str(BUILD / "ccache"), **os.environ, "NINJA_STATUS": "[%f/%t] "}
    status = run(["ninja", "-C", BUILD / preset, "-j", str(jobs()), *targets], log, progress,
                 env=environment)
    if status != 0:
        if progress.terminal and progress.start:
            print(file=sys.stderr)
        raise SetupError(f"the build failed\n{last_lines(log, start='FAILED:')}\n  log: {log}")
    progress.end()


def has_gpu():
    return os.path.exists("/dev/nvidia0")


def run_tests(preset, quick, arguments):
    """CTest on what is built; returns its exit status."""
    leave_out = [label for label, there in (("slow", not quick), ("gpu", has_gpu())) if not there]
    labels = ["-LE", "|".join(leave_out)] if leave_out else []
    environment = {**os.environ, "CTEST_OUTPUT_ON_FAILURE": "1",
                   "UBSAN_OPTIONS": "print_stacktrace=1"}
    return subprocess.run(["ctest", "--test-dir", BUILD / preset, "--timeout", "900", "--no-tests=error",
                           *labels, *arguments], env=environment).returncode
