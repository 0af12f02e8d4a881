#!/usr/bin/env python3
"""How well `longview ask` answers about pages that the recipe of nano makes, and how fast.

    LONGVIEW_PROGRAM=build/cpu/apps/longview tests/bench/ask_pages.py --assets .deps/nano-recipe [--as text|scan|picture] [FLAG...]

A page is a PDF file with a text layer, one that holds a picture only, or a PNG file. Other flags go to `longview ask`.
Prints one JSON object: ANLS, share of answers that are right, share of evidence boxes with an IoU of at least .5 (of all
questions whose answer stands on the page, and of those answered rightly), ANLS by kind of page, seconds a question.
Needs what the recipe needs: numpy and Pillow.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from PIL import ImageFont

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/apps"), str(ROOT / "models/nano")]
from program import Serving, result_of  # noqa: E402
from recipe import metrics  # noqa: E402
from recipe.assets import Assets  # noqa: E402
from recipe.pages import kinds, sample  # noqa: E402
from recipe.pages.paper import Paper  # noqa: E402

POINTS = .72   # of a pixel: 100 of them are an inch
SANS = "LiberationSans-Regular.ttf"   # as wide as Helvetica


class Remembered(Paper):
    """Keeps the page that was made last, for its words."""
    last = None

    def cells(self):
        Remembered.last = self
        return super().cells()


def text_layer(paper, face):
    """A PDF file that says the words of a page where they stand."""
    width, height = (side * POINTS for side in paper.picture.size)
    lines = []
    for text, x0, y0, x1, y1 in paper.words:
        size = (y1 - y0) * POINTS
        stretch = 100 * (x1 - x0) * POINTS / (face.getlength(text) / 100 * size)
        escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        lines.append(f"BT /F1 {size:.2f} Tf {stretch:.2f} Tz {x0 * POINTS:.2f} {height - y0 * POINTS - size * .78:.2f} Td ({escaped}) Tj ET")
    content = "\n".join(lines).encode("cp1252", "replace")
    # Without a table of objects: readers find them all the same.
    return (b"%%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n"
            b"3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %.2f %.2f] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>\nendobj\n"
            b"4 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n5 0 obj\n<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica"
            b" /Encoding /WinAnsiEncoding >>\nendobj\ntrailer << /Root 1 0 R /Size 6 >>\n%%%%EOF\n" % (width, height, len(content), content))


def written(folder, form, seed, assets):
    """The file of a page, and its item."""
    picture, item = sample.page(seed, assets)
    path = Path(folder) / {"text": "page.pdf", "scan": "page.pdf", "picture": "page.png"}[form]
    if form == "text":
        path.write_bytes(text_layer(Remembered.last, ImageFont.truetype(str(assets.folder / "fonts" / SANS), 100)))
    else:
        picture.save(path, resolution=72 / POINTS)
    return path, item


def asked(path, item, flags):
    """A record for each question about a page."""
    for question in item.questions:
        result = result_of("ask", path, "--question", question.text, *flags)
        boxes = [evidence.get("box") for evidence in result["evidence"]]
        truth = question.evidence[0].box if question.evidence else None
        yield {"kind": question.kind, "anls": metrics.anls(result["text"], [question.answer, *question.accepted]),
               "right": metrics.same(result["text"], [question.answer, *question.accepted]), "shown": truth is not None,
               "box": any(metrics.box_iou(box, truth) >= .5 for box in boxes), "seconds": result["timing_ms"]["total"] / 1000}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True, help="the folder that the recipe's `prepare` makes")
    parser.add_argument("--seed", type=int, default=1_000_000, help="of the first page")
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--as", dest="form", choices=("text", "scan", "picture"), default="text")
    given, flags = parser.parse_known_args()
    kinds.Paper = Remembered
    assets, records = Assets(given.assets), []
    server = Serving("--model", given.model)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for seed in range(given.seed, given.seed + given.items):
                records += asked(*written(folder, given.form, seed, assets), [*flags, "--server", server.address])
    finally:
        server.stop()
    shown = [r for r in records if r["shown"]]
    seconds = [r["seconds"] for r in records]
    by_kind = {kind: [r["anls"] for r in records if r["kind"] == kind] for kind in sorted({r["kind"] for r in records})}
    print(json.dumps({"pages": given.items, "questions": len(records), "anls": round(metrics.mean(r["anls"] for r in records), 3),
                      "right": round(metrics.mean(r["right"] for r in records), 3),
                      "box": round(metrics.mean(r["box"] for r in shown), 3),
                      "box_of_right": round(metrics.mean(r["box"] for r in shown if r["right"]), 3),
                      "seconds_median": round(statistics.median(seconds), 3), "seconds_most": round(max(seconds), 3),
                      "anls_by_kind": {kind: round(metrics.mean(all_of), 2) for kind, all_of in by_kind.items()}}))


if __name__ == "__main__":
    main()
