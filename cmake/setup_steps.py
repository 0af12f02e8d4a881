"""What the steps of set-up share: places, messages, child processes, stamps, the lock."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEPS = ROOT / ".deps"
BUILD = ROOT / "build"
TMP = DEPS / "tmp"


class SetupError(Exception):
    """Set-up cannot go on; the text says why, for the person who called."""


def say(text):
    print(f"longview: {text}", file=sys.stderr, flush=True)


def unwind_on_signals():
    """Makes Ctrl-C and a polite kill raise KeyboardInterrupt, so that child processes end too."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


_lock_file = None


@contextlib.contextmanager
def only_one():
    """Holds the checkout's lock. Children inherit it: should this process be killed, the next call
    waits until they have ended too, so two builds never write the same files."""
    global _lock_file
    BUILD.mkdir(exist_ok=True)
    with open(BUILD / "lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another call is installing or building; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        _lock_file = file
        try:
            yield
        finally:
            _lock_file = None


def run(command, log, on_line=None, inherit_lock=True, **options):
    """Runs a command with its output in the file `log` and each line given to `on_line`.
    Returns the exit status."""
    log.parent.mkdir(parents=True, exist_ok=True)
    fds = (_lock_file.fileno(),) if _lock_file and inherit_lock else ()
    with open(log, "a", encoding="utf-8") as out:
        print("$", " ".join(map(str, command)), file=out, flush=True)
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, errors="replace",
                                   pass_fds=fds, **options)
        try:
            for line in process.stdout:
                out.write(line)
                out.flush()
                if on_line:
                    on_line(line)
            return process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise


def last_lines(log, count=25, start=None):
    """The end of a log, or what follows the first line that begins with `start`."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    chosen = lines[-count:]
    for at, line in enumerate(lines if start else []):
        if line.startswith(start):
            chosen = [line for line in lines[at:] if len(line) < 500][:count]
            break
    return "\n".join("  " + line for line in chosen)


def key_of(*parts):
    """A short name for the contents of paths and plain values."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else json.dumps(part, sort_keys=True).encode()
        digest.update(hashlib.sha256(data).digest())
    return digest.hexdigest()


class Stamp:
    """Remembers under which key a step last ended well, and which files it left under .deps/."""

    def __init__(self, name):
        self.file = DEPS / "stamps" / f"{name}.json"
        try:
            self.data = json.loads(self.file.read_text())
        except (OSError, ValueError):
            self.data = {}

    def fresh(self, key):
        return self.data.get("key") == key and all(
            (DEPS / name).exists() for name in self.data["files"])

    def stale(self, files):
        """Files of the last good end that are not among `files`."""
        return [DEPS / name for name in self.data.get("files", []) if name not in files]

    def write(self, key, files):
        self.file.parent.mkdir(parents=True, exist_ok=True)
        partial = self.file.with_suffix(".partial")
        partial.write_text(json.dumps({"key": key, "files": files, "at": int(time.time())}))
        os.replace(partial, self.file)
        self.data = {"key": key, "files": files}


def put_in_place(made, target):
    """Moves a finished file or folder to its place, over what was there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir() and not target.is_symlink():
        old = TMP / f"old-{target.name}"
        remove(old)
        os.rename(target, old)
        os.rename(made, target)
        remove(old)
    else:
        os.replace(made, target)


def remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def fresh_folder(path):
    remove(path)
    path.mkdir(parents=True)
    return path
