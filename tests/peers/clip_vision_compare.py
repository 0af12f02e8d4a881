"""Compares our vision transformer with transformers': features and pictures a second, same random weights, same device, one run.

    ninja -C build/core encode_bench
    python tests/peers/clip_vision_compare.py --bench build/core/tests/bench/encode_bench --device cuda

The default shape is ViT-H/14 at 378 pixels, which AuroraCap reads films with. Prints one JSON line a batch size, with the share
of the device's bf16 peak in which the products of our run would fit (--peak-tflops). Needs torch, transformers, safetensors.
"""
import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch
import transformers as tf


def make(folder, options):
    config = tf.CLIPVisionConfig(hidden_size=options.width, intermediate_size=4 * options.width, num_hidden_layers=options.layers,
                                 num_attention_heads=options.width // 80, image_size=378, patch_size=14, hidden_act="quick_gelu",
                                 attn_implementation="sdpa")
    torch.manual_seed(0)
    model = tf.CLIPVisionModel(config).to(torch.bfloat16).eval()
    model.save_pretrained(folder)
    return model, config


def theirs(model, pixels, repeats):
    """Milliseconds up to the last but one layer, which is what language models read."""
    times = []
    with torch.inference_mode():
        for _ in range(repeats + 2):
            start = time.perf_counter()
            model(pixel_values=pixels, output_hidden_states=True).hidden_states[-2].flatten()[0].item()
            times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[2:])


def ours(options, folder, pictures):
    done = subprocess.run([options.bench, folder, options.device, "bfloat16", str(pictures), str(options.repeats)], check=True,
                          capture_output=True, text=True)
    return json.loads(done.stdout)["milliseconds"]


def flops(config, layers):
    """Of the products of one picture."""
    tokens = (config.image_size // config.patch_size) ** 2 + 1
    width = config.hidden_size
    return layers * (2 * tokens * width * (4 * width + 2 * config.intermediate_size) + 4 * tokens * tokens * width)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--pictures", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--peak-tflops", type=float, default=989, help="dense bf16, of one H100")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model, config = make(Path(folder), options)
        model = model.to(options.device)
        for pictures in options.pictures:
            pixels = torch.randn(pictures, 3, 378, 378, device=options.device, dtype=torch.bfloat16)
            there = theirs(model, pixels, options.repeats)
            here = ours(options, folder, pictures)
            done = pictures * flops(config, config.num_hidden_layers - 1) / 1e12
            print(json.dumps(dict(bench="encode", pictures=pictures, ours_per_second=round(1000 * pictures / here, 1),
                                  theirs_per_second=round(1000 * pictures / there, 1), ratio=round(there / here, 3),
                                  tflops=round(1000 * done / here, 1), share_of_peak=round(1000 * done / here / options.peak_tflops, 3))),
                  flush=True)


if __name__ == "__main__":
    main()
