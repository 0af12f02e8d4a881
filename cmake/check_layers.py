"""Fails on an include that points upward or sideways between the top folders.

    check_layers.py [ROOT]

apps -> services -> {vision, audio, llm} -> pipeline: a folder includes itself and what lies below
it; the three in the middle never see one another; what protobuf and gRPC generate is for services.
Quoted includes are rooted at the repository, so that no path can step around this check.
"""

import re
import sys
from pathlib import Path

CORE = {"pipeline"}
MIDDLE = {"vision", "audio", "llm"}
MAY_INCLUDE = {
    "pipeline": CORE,
    "vision": CORE | {"vision"},
    "audio": CORE | {"audio"},
    "llm": CORE | {"llm"},
    "services": CORE | MIDDLE | {"services"},
    "apps": CORE | MIDDLE | {"services", "apps"},
    "tests": CORE | MIDDLE | {"services", "apps", "tests"},
}
WIRE = {"services", "tests"}   # who may see generated messages and gRPC
WIRE_HEADERS = ("longview/", "grpc/", "grpcpp/", "google/protobuf/")
BANNED = {"torch/torch.h": "parsing it takes 19 s; include the ATen header that is meant",
          "torch/all.h": "parsing it takes 19 s; include the ATen header that is meant"}
SUFFIXES = {".h", ".cpp", ".cu", ".cuh"}
INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')


def why_wrong(folder, quote, header):
    """What is wrong with this include in a file of this top folder, or None."""
    if header in BANNED:
        return BANNED[header]
    if header.startswith(WIRE_HEADERS):
        return None if folder in WIRE else f"{folder} must not know the wire"
    first = header.split("/")[0] if "/" in header else ""
    if first in MAY_INCLUDE:
        return None if first in MAY_INCLUDE[folder] else f"{folder} must not include {first}"
    return "expected a path from the repository's root" if quote == '"' else None


def faults(root):
    """(count of files, lines that describe the faults) for the tree under root."""
    count, found = 0, []
    for folder in MAY_INCLUDE:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in SUFFIXES:
                continue
            count += 1
            text = path.read_text(encoding="utf-8", errors="replace")
            for number, line in enumerate(text.splitlines(), 1):
                match = INCLUDE.match(line)
                why = match and why_wrong(folder, match[1], match[2])
                if why:
                    found.append(f"{path.relative_to(root)}:{number}: {match[2]}: {why}")
    return count, found


def main(arguments):
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    count, found = faults(root)
    if not count:
        found = [f"{root}: expected sources under {', '.join(MAY_INCLUDE)}, found none"]
    for line in found:
        print(line, file=sys.stderr)
    print(f"check_layers: {count} files, {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
