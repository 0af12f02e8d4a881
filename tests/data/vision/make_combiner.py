"""Writes combiner.safetensors: what tests/reference/combiner.py makes of three snippets: make_combiner.py

Run from the repository's root with torch 2.11.0 and safetensors. Weights and features are numbers of the golden tests' generator
(tests/support/close_to.h), each tensor with a seed of its own, so that only results are stored: [3 m, D] of each kind.
"""
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.append("tests/reference")
from combiner import Combiner  # noqa: E402
from lcg import lcg  # noqa: E402


@torch.no_grad()
def main():
    video, audio, out = lcg(1, 14, 12), lcg(2, 9, 10), {}
    snippets = [(video[:6], audio[:4]), (video[6:12], audio[4:4]), (video[12:], audio[4:])]
    for kind in ("transformer", "ttm"):
        model = Combiner(kind, 12, 10, 16, 2, 2, 4, 8, 6, 5, 3).eval()
        for seed, (name, weight) in enumerate(sorted(model.named_parameters()), 1001):
            norm = "norm" in name and name.endswith("weight")
            weight.copy_(1 + 0.2 * lcg(seed, *weight.shape) if norm else 0.4 * lcg(seed, *weight.shape))
        out[kind] = torch.cat(model(snippets)).contiguous()
    save_file(out, str(Path(__file__).with_name("combiner.safetensors")))


main()
