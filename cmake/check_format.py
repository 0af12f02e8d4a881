"""Fails on sources that clang-format 14 would change; exits 77 (skipped) where it is not installed."""

import shutil
import subprocess
import sys
from pathlib import Path

from check_layers import MAY_INCLUDE, SUFFIXES

ROOT = Path(__file__).resolve().parent.parent
VERSION = "version 14."   # other versions break lines elsewhere
SKIPPED = 77


def formatter():
    for name in ("clang-format-14", "clang-format"):
        if shutil.which(name):
            answer = subprocess.run([name, "--version"], capture_output=True, text=True)
            if VERSION in answer.stdout:
                return name
    return None


def main():
    tool = formatter()
    if not tool:
        print("check_format: clang-format 14 is not installed; skipped")
        return SKIPPED
    files = [path for folder in MAY_INCLUDE for path in sorted((ROOT / folder).rglob("*"))
             if path.suffix in SUFFIXES]
    status = subprocess.run([tool, "--dry-run", "-Werror", "--ferror-limit=1", *files]).returncode
    print(f"check_format: {len(files)} files, {'some need clang-format -i' if status else 'no faults'}")
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main())
