"""Writes vlora.safetensors: what torch's own TransformerDecoderLayer makes of a picture: make_vlora.py

Run from the repository's root with torch 2.11.0 and safetensors. Weights and features are numbers of the golden tests' generator
(tests/support/close_to.h), each tensor with a seed of its own, so that only results are stored: the factors that the picture
decides, [kinds, slots, llm width, rank].
"""
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.append("tests/reference")
from lcg import lcg  # noqa: E402
from vlora import Vlora  # noqa: E402


def fill(module, seed):
    """In the order of the parameters' names; norms near one."""
    for name, weight in sorted(module.named_parameters()):
        if name == "Bs":
            continue
        seed += 1
        norm = "norm" in name and name.endswith("weight")
        weight.copy_(1 + 0.2 * lcg(seed, *weight.shape) if norm else 0.4 * lcg(seed, *weight.shape))


@torch.no_grad()
def main():
    out = {}
    for name, separate in (("separate", True), ("shared", False)):
        model = Vlora(32, 2, 12, 9, 16, 8, 4, 8, 4, separate=separate).eval()
        fill(model, 1000)
        out[name] = model.seen(lcg(1, 9, 12)).contiguous()
    save_file(out, str(Path(__file__).with_name("vlora.safetensors")))


main()
