"""Runs `longview parity` over fixtures of other seeds than the ones that are kept.

  python tests/reference/seeds.py MAKE_FIXTURES [--seeds 1 2 ...] [--only NAME ...] [--keep FOLDER] [--gguf]

MAKE_FIXTURES is a generator with the options of the reference's make_fixtures.py (OUT, --seed, --only); it runs under the Python
that runs this, which must have its packages. With --gguf the models are written as GGUF files first (to_gguf.py). Prints one line a
fixture: seeds passed, largest relative error over the seeds, tolerance, and why each failed. Exit code 1 if any failed. Not part of
CI: ten seeds take minutes."""
import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LINE = re.compile(r"(PASS|FAIL) (\S+) (\S+) (\S+) ?(.*)")


def make(generator, folder, seed, only):
    """The fixtures of one seed. One that cannot be made stops the run: it says nothing about us."""
    command = [sys.executable, str(generator), str(folder), "--seed", str(seed)]
    done = subprocess.run(command + (["--only", *only] if only else []), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"seed {seed}: {generator} failed\n{done.stderr}")
    return sorted(path.parent for path in folder.glob("*/about.json"))


def as_gguf(fixture):
    """The fixture with its model as GGUF files."""
    model, files = fixture / "model", fixture / "gguf"
    command = [sys.executable, str(Path(__file__).with_name("to_gguf.py")), str(model), str(files)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{fixture}: to_gguf.py failed\n{done.stderr}")
    shutil.rmtree(model)
    files.rename(model)


def compare(program, fixtures):
    """{fixture: (passed, error, tolerance, reason)}. A program that stops early fails what it did not get to."""
    done = subprocess.run([program, "parity", *map(str, fixtures)], capture_output=True, text=True)
    verdicts = {path.name: (False, 0.0, 0.0, f"no verdict, exit code {done.returncode} {done.stderr.strip()}") for path in fixtures}
    for verdict, name, error, tolerance, reason in LINE.findall(done.stdout):
        verdicts[name] = (verdict == "PASS", float(error), float(tolerance), reason)
    return verdicts


def run(options, folder):
    by_fixture = {}
    for seed in options.seeds:
        fixtures = make(options.generator, folder / str(seed), seed, options.only)
        for fixture in fixtures if options.gguf else ():
            as_gguf(fixture)
        for name, verdict in compare(options.program, fixtures).items():
            by_fixture.setdefault(name, {})[seed] = verdict
        print(f"seed {seed}: {len(fixtures)} fixtures", file=sys.stderr, flush=True)
    failed = False
    print(f"{'fixture':24s} {'passed':>7s} {'error':>9s} {'allowed':>9s}")
    for name, verdicts in sorted(by_fixture.items()):
        passed = sum(verdict[0] for verdict in verdicts.values())
        error, tolerance = (max(verdict[column] for verdict in verdicts.values()) for column in (1, 2))
        print(f"{name:24s} {passed:3d}/{len(verdicts):<3d} {error:9.3g} {tolerance:9.3g}")
        for seed, (fine, error, _, reason) in verdicts.items():
            if not fine:
                failed = True
                print(f"  seed {seed}: {error:.3g} {reason}")
    return 1 if failed or not by_fixture else 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("generator", type=Path)
    arguments.add_argument("--seeds", type=int, nargs="+", default=list(range(1, 11)))
    arguments.add_argument("--only", nargs="+", help="names of the generator's families")
    arguments.add_argument("--gguf", action="store_true", help="compare the models as GGUF files")
    arguments.add_argument("--program", default="build/cpu/apps/longview")
    arguments.add_argument("--keep", type=Path, help="where the fixtures stay; else they go")
    given = arguments.parse_args()
    if given.keep:
        sys.exit(run(given, given.keep))
    with tempfile.TemporaryDirectory() as made:
        sys.exit(run(given, Path(made)))
