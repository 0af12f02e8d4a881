"""Writes vision.safetensors: what the reference processors and encoders make of small pictures.

Run from the repository's root with Pillow 12.0.0, torch 2.11.0, transformers 5.17.0, PyAV,
safetensors and efficientnet_lite_pytorch 0.1.0, after set-up has fetched .deps: make_vision.py
"""
from pathlib import Path

import av
import numpy as np
import torch
import transformers as tf
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from safetensors.torch import save_file


def frame(name, index):
    with av.open(f".deps/samples/{name}.mp4") as film:
        for i, picture in enumerate(film.decode(video=0)):
            if i == index:
                return picture.to_image()


def processed(processor, picture):
    values = processor(picture, return_tensors="np")["pixel_values"]
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def lite_input(picture, side=224):
    width, height = picture.size
    square = int(side / (side + 32) * min(width, height))
    top, left = (height - square + 1) // 2, (width - square + 1) // 2
    crop = picture.crop((left, top, left + square, top + square)).resize((side, side), Image.BICUBIC)
    pixels = torch.from_numpy(np.asarray(crop).astype(np.float32))
    return ((pixels - 127) / 128).permute(2, 0, 1).unsqueeze(0)


def main():
    torch.manual_seed(0)
    out = {}
    # Real frames, made small to keep the file small.
    frames = [frame("bikes", 60).resize((160, 96)), frame("bigbuckbunny", 40).resize((120, 90))]
    for i, picture in enumerate(frames):
        out[f"frame_{i}"] = torch.from_numpy(np.array(picture))
    size = dict(height=20, width=20)
    out["clip"] = processed(tf.CLIPImageProcessorPil(size=dict(shortest_edge=20), crop_size=size),
                            frames[0])
    out["clip_padded"] = processed(
        tf.CLIPImageProcessorPil(size=dict(shortest_edge=13), crop_size=size), frames[0])
    out["siglip"] = processed(tf.SiglipImageProcessorPil(size=size), frames[0])
    smolvlm = tf.SmolVLMImageProcessorPil(size=dict(longest_edge=40),
                                          max_image_size=dict(longest_edge=20))
    out["smolvlm"] = processed(smolvlm, frames[0])[0]

    model = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=".deps/models/efficientnet-lite0/efficientnet-lite0.pth")
    model.eval()
    with torch.no_grad():
        for i, picture in enumerate(frames):
            pixels = lite_input(picture)
            features = model.extract_features(pixels)
            out[f"lite_pixels_{i}"] = pixels[0, :, ::16, ::16]
            out[f"lite_features_{i}"] = features[0, ::32].flatten(1).t()  # [49, 40]
            out[f"lite_logits_{i}"] = model(pixels)[0]
    path = Path("tests/data/vision/vision.safetensors")
    save_file({k: v.contiguous() for k, v in out.items()}, str(path))


main()
