"""Writes text.safetensors: short texts as strips of grey pixels, white on black.

Run with Pillow 12.0.0 (its own default font), numpy and safetensors: make_text.py
"""
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from safetensors.numpy import save_file

TEXTS = dict(exit="EXIT", road="Road closed", news="Breaking news from the city", price="Total 42.50")


def strip(text):
    font = ImageFont.load_default(size=24)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("L", (right - left + 8, bottom - top + 8))
    ImageDraw.Draw(image).text((4 - left, 4 - top), text, fill=255, font=font)
    return np.asarray(image)


save_file({name: strip(text) for name, text in TEXTS.items()},
          str(Path(__file__).with_name("text.safetensors")))
