"""Installs the Debian packages of deps.lock that are missing."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from setup_steps import BUILD, SetupError, Stamp, key_of, last_lines, run, say

STATUS = Path("/var/lib/dpkg/status")
LISTS = Path("/var/lib/apt/lists")
OFFLINE = re.compile(r"Temporary failure resolving|Could not (resolve|connect)|Unable to connect|"
                     r"Network is unreachable|Connection refused|Connection timed out")
INSTALL = ["apt-get", "install", "-y", "--no-install-recommends"]


def pip_python():
    """A Python that has pip, or None."""
    if find_spec("pip"):
        return sys.executable
    system = "/usr/bin/python3"
    found = os.path.exists(system) and subprocess.run(
        [system, "-c", "import pip"], capture_output=True).returncode == 0
    return system if found else None


def missing(names):
    """Those of these packages that are not wholly installed."""
    answer = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\\n", *names],
        capture_output=True, text=True)
    installed = {line.split()[0] for line in answer.stdout.splitlines()
                 if line.endswith(" installed")}
    return [name for name in names if name not in installed]


def have_lists():
    return LISTS.is_dir() and any("_Packages" in file.name for file in LISTS.iterdir())


def install_packages(packages, downloads_wanted):
    """`packages` are the [[debian]] entries. Elsewhere than on Debian and its kin nothing is done,
    and CMake says what it does not find."""
    if not shutil.which("dpkg-query"):
        return
    names = [entry["name"] for entry in packages if "need" not in entry]
    stamp = Stamp("debian")
    key = key_of(names, STATUS.stat().st_mtime_ns if STATUS.exists() else 0)
    if stamp.fresh(key) and not downloads_wanted:
        return
    wanted = missing(names)
    if downloads_wanted and not pip_python():
        wanted += [entry["name"] for entry in packages if entry.get("need") == "download"]
    if wanted:
        apt_install(wanted)
    stamp.write(key_of(names, STATUS.stat().st_mtime_ns), [])


def apt_install(names):
    if os.geteuid() != 0:
        update = "apt-get update && " if not have_lists() else ""
        raise SetupError(f"Debian packages are missing. As an administrator run once, then call again:\n"
                         f"  sudo sh -c '{update}{' '.join(INSTALL)} {' '.join(names)}'")
    log = BUILD / "packages.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("")
    # No lock for these children: a daemon that a package starts would hold it for ever.
    options = {"inherit_lock": False,
               "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}}
    wait = ["-o", "DPkg::Lock::Timeout=600"]
    install = [*INSTALL, *wait, *names]
    say(f"installing {len(names)} Debian packages: {' '.join(names)}")
    run(["dpkg", "--configure", "-a"], log, **options)   # an earlier call may have been interrupted
    if have_lists() and run(install, log, **options) == 0:
        return
    refuse_offline(log)
    # No lists, or lists that name files which the mirror no longer has.
    for command in (["apt-get", "update", *wait], install):
        if run(command, log, **options) != 0:
            refuse_offline(log)
            raise SetupError(f"{' '.join(command[:2])} failed\n{last_lines(log, 12)}\n  log: {log}")


def refuse_offline(log):
    """apt-get says in many lines that nothing answers; one is enough."""
    if OFFLINE.search(log.read_text(encoding="utf-8", errors="replace")):
        raise SetupError(f"cannot install Debian packages: their mirror cannot be reached\n  log: {log}")
