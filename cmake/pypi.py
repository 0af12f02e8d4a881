"""Fetches the PyPI files of deps.lock, checks them and unpacks what is needed of them."""

import hashlib
import os
import re
import shutil
import tarfile
import zipfile

import debian
from setup_steps import (BUILD, DEPS, TMP, SetupError, Stamp, fresh_folder, key_of, last_lines,
                         put_in_place, remove, run, say)

DOWNLOADS = DEPS / "downloads"


def to_unpack(entries):
    """The entries whose files are not there as this lock file wants them."""
    return [entry for entry in entries if not Stamp(entry["name"]).fresh(entry_key(entry))]


def entry_key(entry):
    return key_of(entry["sha256"], entry["unpack"], entry.get("skip", []))


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(entry):
    """The path of the entry's file, downloaded unless it is there already."""
    target = DOWNLOADS / entry["file"]
    if target.exists() and sha256_of(target) == entry["sha256"]:
        return target
    python = debian.pip_python()
    if not python:
        raise SetupError("pip is missing: install python3-pip, or use a Python that has it")
    say(f"downloading {entry['name']} {entry['version']} ({entry['size'] / 1e6:.0f} MB)")
    folder = fresh_folder(TMP / "download")
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{entry['name']}=={entry['version']} --hash=sha256:{entry['sha256']}\n")
    log = BUILD / "downloads.log"
    # pip's own temporary files are as large as the download: keep them in the checkout too.
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    if entry["file"].endswith(".whl"):
        options = wheel_tags(entry["file"])
    else:
        options = ["--no-binary", ":all:", "--no-build-isolation"]
        environment["PYTHONPATH"] = str(write_stand_in(entry, folder / "backend"))
    status = run([python, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-cache-dir",
                  "--progress-bar", "off", "--retries", "2", "--disable-pip-version-check",
                  *options, "--dest", folder, "--requirement", wanted], log, env=environment)
    if status != 0:
        raise SetupError(why_failed(entry, log))
    got = folder / entry["file"]
    if not got.exists():
        raise SetupError(f"{entry['name']}: expected the file {entry['file']}, and the package index"
                         f" has another\n  log: {log}")
    put_in_place(got, target)
    return target


def wheel_tags(file):
    """pip's options for the wheel of this name, whatever Python runs pip."""
    interpreter, abi, platforms = file.removesuffix(".whl").split("-")[-3:]
    options = ["--only-binary", ":all:", "--implementation", "cp", "--abi", abi]
    if interpreter.startswith("cp"):
        options += ["--python-version", interpreter.removeprefix("cp")]
    for platform in platforms.split("."):
        options += ["--platform", platform]
    return options


def write_stand_in(entry, folder):
    """A build backend under the name that the source package asks for, which knows its name and
    version alone. pip asks for these after any download of sources: the package's own backend would
    have to be fetched, and would run. Returns the folder for PYTHONPATH."""
    module = folder / (entry["backend"].replace(".", "/") + ".py")
    fresh_folder(module.parent)
    for package in module.relative_to(folder).parents[:-1]:
        (folder / package / "__init__.py").touch()
    record = f"{entry['name'].replace('-', '_')}-{entry['version']}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {entry['name']}\nVersion: {entry['version']}\n"
    module.write_text("import pathlib\n\n\n"
                      "def prepare_metadata_for_build_wheel(folder, config_settings=None):\n"
                      f"    record = pathlib.Path(folder, {record!r})\n"
                      "    record.mkdir()\n"
                      f"    (record / 'METADATA').write_text({metadata!r})\n"
                      "    return record.name\n")
    return folder


def why_failed(entry, log):
    """One message from what pip wrote."""
    text = log.read_text(encoding="utf-8", errors="replace")
    text = text[text.rindex("$ "):]
    got = re.search(r"Got\s+([0-9a-f]{64})", text)
    if got:
        return (f"{entry['file']}: expected SHA-256 {entry['sha256']}, got {got[1]}: the download is"
                f" damaged or is another file\n  log: {log}")
    offline = re.search(r"NewConnectionError|ConnectTimeout|Temporary failure in name|ProxyError|"
                        r"Network is unreachable|Connection refused|Connection broken", text)
    if offline:
        return f"cannot download {entry['file']}: the package index cannot be reached\n  log: {log}"
    return f"cannot download {entry['file']}\n{last_lines(log, 6)}\n  log: {log}"


class SourceArchive:
    """A source package, read as zipfile reads a wheel."""

    def __init__(self, path):
        self.filename = path
        self.archive = tarfile.open(path)
        self.members = {member.name: member for member in self.archive if member.isfile()}

    def namelist(self):
        return list(self.members)

    def open(self, name):
        return self.archive.extractfile(self.members[name])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.archive.close()


def unpack(entry, file):
    """Puts the entry's members in their places; the stamp comes last."""
    stamp = Stamp(entry["name"])
    places = entry["unpack"]
    folder = fresh_folder(TMP / "unpack")
    with zipfile.ZipFile(file) if file.suffix == ".whl" else SourceArchive(file) as archive:
        for member, place in places.items():
            extract(archive, member, folder / place, entry.get("skip", []))
    for place in places.values():
        put_in_place(folder / place, DEPS / place)
    files = [place.rstrip("/") for place in places.values()]
    for gone in stamp.stale(files):
        remove(gone)
    stamp.write(entry_key(entry), files)


def extract(archive, member, target, skip):
    """One member, or every member under a folder name, less what begins with a name in `skip`."""
    known = archive.namelist()
    names = [member]
    if member.endswith("/"):
        names = [name for name in known if name.startswith(member)
                 and not name.endswith("/") and not name.startswith(tuple(skip))]
    if not names or names[0] not in known:
        raise SetupError(f"{archive.filename}: expected a member {member}, found none")
    for name in names:
        path = target / name.removeprefix(member) if member.endswith("/") else target
        path.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as source, open(path, "wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)


def install_files(entries):
    """Brings .deps/ to what the lock file says. A file already downloaded is kept until unpacked."""
    if not entries:
        return
    free = shutil.disk_usage(DEPS).free
    needed = 3 * sum(entry["size"] for entry in entries)
    if free < needed:
        raise SetupError(f"{DEPS}: expected {needed / 1e9:.1f} GB of free disk, got {free / 1e9:.1f} GB")
    for entry in entries:
        file = fetch(entry)
        unpack(entry, file)
        remove(file)
