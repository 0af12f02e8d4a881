"""Writes sets.safetensors: what the reference makes of pictures that are padded, split, or seen as a set.

Run from the repository's root with Pillow 13.0.0, transformers 5.17.0 and safetensors: make_sets.py
"""
import sys
from pathlib import Path

import numpy as np
import torch
import transformers as tf
from PIL import Image
from safetensors.torch import load_file, save_file

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "reference"))
import leopard  # noqa: E402

SIDE, BUDGET = 20, 20


def pictures():
    frames = load_file(str(HERE / "vision.safetensors"))
    wide, large = frames["frame_0"].numpy(), frames["frame_1"].numpy()
    return [Image.fromarray(p) for p in (wide, np.ascontiguousarray(wide[:, 60:97]), large[:25, :24])]


def main():
    images, out = pictures(), {}
    for i, (padded, whole) in enumerate(leopard.canvases(images, SIDE, BUDGET)):
        out[f"leopard_whole_{i}"] = torch.from_numpy(np.array(whole))
        if padded:
            out[f"leopard_canvas_{i}"] = torch.from_numpy(np.array(padded))
    llava = tf.LlavaImageProcessorPil(size=dict(shortest_edge=16), crop_size=dict(height=16, width=16), do_pad=True)
    out["llava"] = torch.cat([llava(i, return_tensors="pt")["pixel_values"] for i in images])
    onevision = tf.LlavaOnevisionImageProcessorPil(size=dict(height=16, width=16), image_grid_pinpoints=[[16, 32], [32, 32]])
    out["onevision"] = onevision([images], return_tensors="pt")["pixel_values"][:, 0]
    for name, split in (("idefics2", False), ("idefics2_split", True)):
        idefics2 = tf.Idefics2ImageProcessorPil(size=dict(shortest_edge=10, longest_edge=24), do_image_splitting=split)
        for i in (0, 2):
            got = idefics2([[images[i]]], return_tensors="pt")
            out[f"{name}_{i}"] = got["pixel_values"][0].float()
            out[f"{name}_sizes_{i}"] = torch.stack([got["pixel_attention_mask"][0].amax(2).sum(1),
                                                    got["pixel_attention_mask"][0].amax(1).sum(1)], 1)
    save_file({k: v.contiguous() for k, v in out.items()}, str(HERE / "sets.safetensors"))


if __name__ == "__main__":
    main()
