"""Writes resample.json: hashes of what Pillow's Image.resize makes of random pictures.

Run with Pillow 13.0.0 and numpy: make_resample.py. Earlier versions take the axes in the other order
for some sizes. Pictures are bytes of the generator
state = (1664525 * state + 1013904223) mod 2^32, byte = state >> 24, rows first. The hash is
FNV-1a of 64 bits over the result's bytes.
"""
import json
from pathlib import Path

import numpy as np
import PIL
from PIL import Image


def picture(seed, height, width, channels):
    state, out = seed, bytearray()
    for _ in range(height * width * channels):
        state = (1664525 * state + 1013904223) % 2**32
        out.append(state >> 24)
    return np.frombuffer(bytes(out), np.uint8).reshape(height, width, channels)


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


SIZES = [
    (3, 48, 64, 24, 32), (3, 37, 53, 17, 91), (3, 97, 160, 56, 92), (3, 5, 7, 64, 33),
    (3, 1, 1, 9, 4), (3, 101, 33, 1, 1), (3, 40, 40, 40, 13), (3, 40, 41, 7, 41),
    (3, 200, 131, 63, 64), (1, 33, 70, 21, 66), (4, 29, 31, 40, 12), (3, 300, 8, 11, 8),
    (3, 9, 257, 9, 100), (3, 64, 64, 64, 64),
]
BOXES = [(3, 60, 80, 20, 30, (4, 3, 71, 55)), (3, 60, 80, 33, 47, (0.5, 2.25, 79.75, 60)),
         (3, 31, 45, 31, 45, (1, 0, 44, 31)),
         (3, 60, 80, 30, 60, (10, 0, 75, 60)), (3, 60, 80, 30, 70, (0, 20, 80, 60)), (3, 50, 50, 50, 20, (10, 0, 30, 50))]


def main():
    cases = []
    for filter in (1, 2, 3, 4, 5):
        for i, case in enumerate(SIZES + BOXES):
            channels, height, width, to_height, to_width, *box = case
            source = picture(i + 1, height, width, channels)
            image = Image.fromarray(source[:, :, 0] if channels == 1 else source,
                                    {1: "L", 3: "RGB", 4: "CMYK"}[channels])
            made = image.resize((to_width, to_height), filter, *box)
            cases.append(dict(seed=i + 1, size=[height, width, channels], to=[to_height, to_width],
                              filter=filter, box=list(*box) if box else None,
                              fnv=fnv(np.asarray(made).tobytes())))
    lines = ",\n".join(json.dumps(case) for case in cases)
    Path(__file__).with_name("resample.json").write_text(
        f'{{"made_by": "Pillow {PIL.__version__}", "cases": [\n{lines}\n]}}\n')


main()
