"""A checkout in miniature: the real ./longview and its modules, small packages, stand-ins for tools.

pip is the real one and finds its files in a folder; dpkg-query, apt-get, cmake, ninja and ctest are
short scripts that note each call in calls.txt.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

TOOLS = {
    "dpkg-query": 'for p in g++ ffmpeg python3-pip; do\n'
                  '  [ -e "$SMALL/missing/$p" ] || echo "$p installed"\ndone',
    "dpkg": "exit 0",
    "apt-get": 'case "$1" in install) [ -e "$SMALL/apt-fails" ] && { cat "$SMALL/apt-fails"; exit 100; }; rm -rf "$SMALL/missing";; esac',
    "cmake": 'mkdir -p build/cpu/apps && touch build/cpu/build.ninja',
    # Two builds at once would find the folder there.
    "ninja": 'mkdir "$SMALL/building" || { echo "FAILED: two builds at once"; exit 1; }\n'
             'sleep 0.2; rmdir "$SMALL/building"\n'
             '[ -e "$SMALL/broken" ] && { echo "[1/2] ok"; echo "FAILED: a.o"; echo "a.cpp:1: error: no"; exit 1; }\n'
             'p=build/cpu/apps/longview\n'
             'printf \'#!/bin/sh\\nfor a; do echo "arg=$a"; done\\nexit 3\\n\' > $p.new; chmod +x $p.new; mv $p.new $p\n'
             'echo "ninja: no work to do."',
    "ctest": 'echo "100% tests passed, 0 tests failed out of 7"',
}


def write_wheel(folder, name, members):
    """A wheel of {member: bytes}; returns its lock entry less `unpack`."""
    stem = name.replace("-", "_")
    file = folder / f"{stem}-1.0-py3-none-any.whl"
    record = f"{stem}-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        archive.writestr(f"{record}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{record}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{record}/RECORD", "")
    return {"name": name, "version": "1.0", "file": file.name, "size": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "why": "test"}


def write_source(folder, name, members):
    """A package of sources whose build backend nobody has; otherwise as write_wheel()."""
    file = folder / f"{name}-1.0.tar.gz"
    project = b'[build-system]\nrequires = ["no-such-backend"]\nbuild-backend = "no_such.backend"\n'
    with tarfile.open(file, "w:gz") as archive:
        for member, data in {**members, "pyproject.toml": project}.items():
            about = tarfile.TarInfo(f"{name}-1.0/{member}")
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return {"name": name, "version": "1.0", "file": file.name, "size": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "why": "test",
            "backend": "no_such.backend"}


def toml(entries):
    """Lock entries of strings, numbers, lists of strings and one table of strings, as TOML."""
    lines = []
    for kind, entry in entries:
        lines.append(f"[[{kind}]]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in entry.items() if key != "unpack"]
        if "unpack" in entry:
            lines.append(f"[{kind}.unpack]")
            lines += [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in entry["unpack"].items()]
    return "\n".join(lines) + "\n"


class SmallCheckout:
    def __init__(self, folder):
        self.base = Path(folder)
        self.root = self.base / "a checkout"
        self.wheels = self.base / "wheels"
        self.tools = self.base / "tools"
        for path in (self.root / "cmake", self.wheels, self.tools):
            path.mkdir(parents=True)
        shutil.copy(ROOT / "longview", self.root)
        shutil.copy(ROOT / "CMakePresets.json", self.root)
        for file in (ROOT / "cmake").glob("*.py"):
            shutil.copy(file, self.root / "cmake")
        for name, body in TOOLS.items():
            script = self.tools / name
            # A build step must run in the checkout: ninja -C build/cpu names it.
            script.write_text('#!/bin/bash\necho "${0##*/} $*" >> "$SMALL/calls.txt"\n'
                              f'cd "$SMALL/a checkout"\n{body}\n')
            script.chmod(0o755)
        copy = "import pathlib, shutil, sys\n" \
               "shutil.copy(sys.argv[1], pathlib.Path(sys.argv[2], '{}'))\n"
        (self.root / "cmake" / "convert_efficientnet.py").write_text(copy.format("model.safetensors"))
        (self.root / "cmake" / "make_sample.py").write_text(copy.format("sample.mp4"))
        self.write_lock()

    def write_lock(self, **changes):
        """The lock of three small packages; `changes` go into the first one's entry."""
        torch = write_wheel(self.wheels, "small-torch", {
            "torch/include/a/b.h": b"// b", "torch/include/google/old.h": b"// old",
            "torch/lib/libc10.so": b"c10" * 100_000})
        torch.update(skip=["torch/include/google/"],
                     unpack={"torch/include/": "libtorch/include/",
                             "torch/lib/libc10.so": "libtorch/lib/libc10.so"})
        torch.update(changes)
        models = write_wheel(self.wheels, "small-models", {"m/e.pth": b"pth", "m/bikes.mp4": b"mp4"})
        models["unpack"] = {"m/e.pth": "models/efficientnet-lite0/efficientnet-lite0.pth",
                            "m/bikes.mp4": "samples/bikes.mp4"}
        source = write_source(self.wheels, "small-source", {"cpp/a.cc": b"// a", "python/b.py": b"# b"})
        source["unpack"] = {"small-source-1.0/cpp/": "source/cpp/"}
        (self.root / "cmake" / "deps.lock").write_text(toml([
            ("debian", {"name": "g++", "version": "1", "why": "test"}),
            ("debian", {"name": "ffmpeg", "version": "1", "why": "test"}),
            ("debian", {"name": "python3-pip", "version": "1", "why": "test", "need": "download"}),
            ("pypi", torch), ("pypi", models), ("pypi", source)]))

    def seed(self):
        """Lays the wheels where an earlier call would have left them, which saves pip's start."""
        shutil.copytree(self.wheels, self.root / ".deps" / "downloads")

    def environment(self, **more):
        return {"PATH": f"{self.tools}:/usr/bin:/bin", "SMALL": str(self.base), "HOME": str(self.base),
                "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels), "PIP_CONFIG_FILE": "/dev/null",
                **more}

    def start(self, *arguments, program=None, cwd="/", user=None, **environment):
        return subprocess.Popen([program or self.root / "longview", *arguments], cwd=cwd, user=user,
                                env=self.environment(**environment), text=True,
                                start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def call(self, *arguments, **options):
        """(exit status, standard output, standard error) of one ./longview."""
        process = self.start(*arguments, **options)
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    def calls(self):
        """The tools called since the last look, a line each."""
        notes = self.base / "calls.txt"
        lines = notes.read_text().splitlines() if notes.exists() else []
        notes.unlink(missing_ok=True)
        return lines

    def files(self):
        """{path: bytes} of what lies under .deps/, less stamps."""
        deps = self.root / ".deps"
        return {str(path.relative_to(deps)): path.read_bytes() for path in sorted(deps.rglob("*"))
                if path.is_file() and path.relative_to(deps).parts[0] != "stamps"}

    def miss(self, *packages):
        (self.base / "missing").mkdir()
        for name in packages:
            (self.base / "missing" / name).touch()
