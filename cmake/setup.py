"""./longview: installs what is missing, builds what changed, runs the program or the tests.

    ./longview COMMAND ...                              the program; its own --help says more
    ./longview test [--quick] [--asan] [--tsan] [...]   all tests; what follows goes to CTest

LV_PRESET names another CMake preset than cpu, LV_TORCH_ROOT another LibTorch than the one set-up
unpacks, LV_CMAKE_ARGS adds options for CMake. Nothing outside the checkout is written but Debian
packages. Every step ends by renaming finished files and then writing a stamp, so a call that was
interrupted anywhere is made good by the next one.
"""

import json
import os
import signal
import sys

signal.signal(signal.SIGINT, signal.SIG_DFL)   # until main() can unwind: end without a traceback
if sys.version_info < (3, 11):
    sys.exit(f"longview: expected Python 3.11 or later, got {sys.version.split()[0]}")

import tomllib

import build
import debian
import made_files
import pypi
from setup_steps import BUILD, DEPS, ROOT, TMP, SetupError, only_one, remove, unwind_on_signals


def install():
    lock = tomllib.loads((ROOT / "cmake" / "deps.lock").read_text(encoding="utf-8"))
    DEPS.mkdir(exist_ok=True)
    remove(TMP)   # what an interrupted call left
    files = lock["pypi"]
    if "LV_TORCH_ROOT" in os.environ:
        files = [entry for entry in files
                 if not any(place.startswith("libtorch/") for place in entry["unpack"].values())]
    wanted = pypi.to_unpack(files)
    debian.install_packages(lock["debian"], bool(wanted))
    pypi.install_files(wanted)
    made_files.make_files(files)
    remove(TMP)


def run_program(preset, arguments):
    with only_one():
        install()
        build.build(preset, ["longview"])
    program = BUILD / preset / "apps" / "longview"
    sys.stdout.flush()
    os.execv(program, ["longview", *arguments])


def run_tests(preset, arguments):
    quick = "--quick" in arguments
    for flag in ("asan", "tsan"):
        if f"--{flag}" in arguments:
            preset = flag
    rest = [argument for argument in arguments if argument not in ("--quick", "--asan", "--tsan")]
    targets = []
    if preset == "tsan":   # LibTorch's own threads are not instrumented: only the stages can be judged
        targets, rest = ["stage_test"], ["-R", "^stage", *rest]
    with only_one():
        install()
        build.build(preset, targets)
    return build.run_tests(preset, quick, rest)


def chosen_preset():
    preset = os.environ.get("LV_PRESET", "cpu")
    presets = json.loads((ROOT / "CMakePresets.json").read_text())["buildPresets"]
    names = sorted(known["name"] for known in presets)
    if preset not in names:
        raise SetupError(f"LV_PRESET: expected {', '.join(names[:-1])} or {names[-1]}, got {preset}")
    return preset


def main(arguments):
    unwind_on_signals()
    try:
        preset = chosen_preset()
        if arguments[:1] == ["test"]:
            return run_tests(preset, arguments[1:])
        return run_program(preset, arguments)
    except SetupError as error:
        print(f"longview: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nlongview: interrupted; the next call goes on from here", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
