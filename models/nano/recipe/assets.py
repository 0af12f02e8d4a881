"""What the recipe takes from packages, in one folder: photographs with names, fonts, class names, weights. prepare() fetches and lays it out;
pack() cuts it into pieces that travel to a training host and unpack() joins them there.

  stamps/NNN.webp     cut-out photographs, at most 256 pixels a side
  stamps.json         [{"file", "name", "held_out"}]
  fonts/NAME.ttf
  smollm2.gguf, efficientnet.safetensors, classes.txt
  traffic.jsonl       pieces of SUMO's traffic, if `record` made them
"""
import functools
import hashlib
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from PIL import Image

from .driving.sumo import Recorded
from .seeds import held_out

STAMPS = "tuxpaint-stamps-default"
FONT_PACKAGES = ("fonts-liberation", "fonts-lato", "fonts-croscore", "fonts-ebgaramond", "fonts-crosextra-caladea", "fonts-crosextra-carlito",
                 "fonts-open-sans", "fonts-inconsolata", "fonts-comic-neue", "fonts-roboto-slab", "fonts-dejavu-core",
                 "fonts-linuxlibertine", "fonts-roboto-unhinted")
FONTS = ("LiberationSans-Regular", "LiberationSerif-Regular", "LiberationMono-Regular", "LiberationSansNarrow-Regular", "Lato-Regular",
         "Arimo-Regular", "Tinos-Regular", "Cousine-Regular", "EBGaramond12-Regular", "Caladea-Regular", "Carlito-Regular", "OpenSans-Regular",
         "Inconsolata", "ComicNeue-Regular", "RobotoSlab-Regular", "DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "LinLibertine_R",
         "Roboto-Regular", "Roboto-Light")
NO_NAMES = {"are", "is", "it's", "eat", "playing", "making", "enter", "ripe", "boom", "our", "carry", "down", "ahead", "arrow", "crossroads"}
TRAFFIC = "traffic.jsonl"
SIDE = 256
PIECE_BYTES = 56 << 20   # with the working tree below the 64 MiB that a call may carry


def fetched(packages, folder):
    """Downloads Debian packages and unpacks them below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", *packages], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder / "root")], check=True)
        package.unlink()
    return folder / "root"


def name_in(text):
    """The name that a stamp's description gives, or nothing: 'A red kangaroo.' -> 'red kangaroo', 'Santa Claus.' stays."""
    first = re.split(r"[.!?:(,;—]", text.splitlines()[0].strip())[0] if text.strip() else ""
    name = re.sub(r"^(a|an|the|some|another)\s+", "", re.sub(r"[“”\"]", "", first).strip(), flags=re.I)
    words = name.split()
    if not words or len(words) > 4 or NO_NAMES & {word.lower() for word in words}:
        return ""
    proper = any(word != word.lower() for word in [name[1:2], *words[1:]])
    return name if proper else name[0].lower() + name[1:]


def stamps(root, out):
    """Writes the photographs that have names; letters, signs and numbers are left out."""
    rows = []
    (out / "stamps").mkdir(parents=True, exist_ok=True)
    base = root / "usr/share/tuxpaint/stamps"
    for path in sorted(base.rglob("*.png")):
        kind, text = path.relative_to(base).parts[0], path.with_suffix(".txt")
        mirrored = path.stem.endswith(("_mirror", "_flip", "_mirror_flip"))
        name = name_in(text.read_text("utf-8", "replace")) if text.exists() and not mirrored and kind != "symbols" else ""
        if not name:
            continue
        with Image.open(path) as opened:
            picture = opened.convert("RGBA")
        box = picture.getchannel("A").point(lambda a: 255 * (a > 32)).getbbox()
        if not box or min(box[2] - box[0], box[3] - box[1]) < 24:
            continue
        picture = picture.crop(box)
        picture.thumbnail((SIDE, SIDE), Image.LANCZOS)
        picture.save(out / "stamps" / f"{len(rows):03d}.webp", quality=88)
        rows.append({"file": f"{len(rows):03d}.webp", "name": name, "held_out": held_out(name)})
    (out / "stamps.json").write_text(json.dumps(rows, indent=0, ensure_ascii=False))
    return rows


def fonts(root, out):
    """Copies one file a family."""
    (out / "fonts").mkdir(parents=True, exist_ok=True)
    files = {path.stem: path for path in sorted(root.rglob("*")) if path.suffix in (".ttf", ".otf")}
    for name in FONTS:
        if name not in files:
            raise FileNotFoundError(f"font {name}: not in {', '.join(FONT_PACKAGES)}")
        shutil.copy(files[name], out / "fonts" / files[name].name)


def prepare(out, models):
    """Lays everything out in `out`; `models` is the folder of the program's own models (.deps/models). Needs apt and dpkg."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        rows = stamps(fetched([STAMPS], Path(scratch) / "stamps"), out)
        fonts(fetched(FONT_PACKAGES, Path(scratch) / "fonts"), out)
    shutil.copy(models / "smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf", out / "smollm2.gguf")
    shutil.copy(models / "efficientnet-lite0/model.safetensors", out / "efficientnet.safetensors")
    shutil.copy(Path(__file__).parent.parent / "imagenet_classes.txt", out / "classes.txt")
    return rows


def pack(folder, pieces):
    """Writes FOLDER as pieces/part-NN of at most PIECE_BYTES and pieces/parts.json with their hashes."""
    pieces.mkdir(parents=True, exist_ok=True)
    for old in pieces.glob("part-*"):
        old.unlink()
    with tempfile.TemporaryFile() as whole:
        with tarfile.open(fileobj=whole, mode="w:xz", preset=1) as tar:
            for name in sorted(path.name for path in folder.iterdir()):
                tar.add(folder / name, arcname=name)
        whole.seek(0)
        hashes = {}
        while piece := whole.read(PIECE_BYTES):
            name = f"part-{len(hashes):02d}"
            (pieces / name).write_bytes(piece)
            hashes[name] = hashlib.sha256(piece).hexdigest()
    (pieces / "parts.json").write_text(json.dumps(hashes, indent=1))
    return hashes


def unpack(pieces, folder):
    """Joins what pack() wrote. Throws ValueError on a piece that is missing or differs."""
    hashes = json.loads((pieces / "parts.json").read_text())
    with tempfile.TemporaryFile() as whole:
        for name, expected in hashes.items():
            content = (pieces / name).read_bytes() if (pieces / name).exists() else b""
            if hashlib.sha256(content).hexdigest() != expected:
                raise ValueError(f"{pieces / name}: expected a piece of hash {expected[:12]}, got {len(content)} other bytes")
            whole.write(content)
        whole.seek(0)
        with tarfile.open(fileobj=whole) as tar:
            tar.extractall(folder, filter="data")


class Assets:
    """Read access to a prepared folder."""

    def __init__(self, folder):
        self.folder = Path(folder)
        if not (self.folder / "stamps.json").exists():
            raise FileNotFoundError(f"{folder}: expected what `python3 -m recipe prepare`, run in models/nano, makes")
        self.stamps = json.loads((self.folder / "stamps.json").read_text())
        self.classes = (self.folder / "classes.txt").read_text().splitlines()
        self.font_files = sorted((self.folder / "fonts").iterdir())

    @functools.cached_property
    def traffic(self):
        """Recorded traffic, or nothing."""
        path = self.folder / TRAFFIC
        return Recorded(path) if path.exists() else None

    @functools.lru_cache(600)
    def stamp(self, file):
        """RGBA picture of a stamp."""
        with Image.open(self.folder / "stamps" / file) as opened:
            return opened.convert("RGBA")
