"""Writes siglip2.json and siglip2.safetensors: a tiny encoder, and what it and its processor make of pictures of several shapes.

Run from the repository's root with transformers 5.17.0, torch 2.11.0 and safetensors: make_siglip2.py
"""
import json
from pathlib import Path

import numpy as np
import torch
import transformers as tf
from safetensors.torch import save_file

HERE = Path(__file__).parent


def picture(height, width):
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([127 + 120 * np.sin(x / 9 + k) * np.cos(y / (7 + k)) for k in range(3)], -1).astype(np.uint8)


def main():
    torch.manual_seed(0)
    config = tf.Siglip2VisionConfig(hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
                                    patch_size=4, num_patches=25, attn_implementation="eager")
    model = tf.Siglip2VisionModel(config).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, 0 if p.ndim > 1 else 0.5, 0.3)
    processor = tf.Siglip2ImageProcessorPil(patch_size=4, max_num_patches=20)
    out = {f"model.{name}": p.detach().contiguous() for name, p in model.state_dict().items()}
    for i, (height, width) in enumerate([(45, 70), (30, 8), (16, 16), (80, 5)]):
        image = picture(height, width)
        inputs = processor(image, return_tensors="pt")
        rows, columns = inputs["spatial_shapes"][0].tolist()
        with torch.inference_mode():
            features = model(**inputs).last_hidden_state[0, :rows * columns]
        patches = inputs["pixel_values"][0, :rows * columns]
        pixels = patches.view(rows, columns, 4, 4, 3).permute(4, 0, 2, 1, 3).reshape(3, rows * 4, columns * 4)
        out.update({f"picture_{i}": torch.from_numpy(image), f"pixels_{i}": pixels.contiguous(),
                    f"features_{i}": features.contiguous()})
    save_file(out, str(HERE / "siglip2.safetensors"))
    described = dict(config.to_dict(), architectures=["Siglip2VisionModel"])
    (HERE / "siglip2.json").write_text(json.dumps(dict(encoder=described, processor=processor.to_dict()), indent=1) + "\n")


if __name__ == "__main__":
    main()
