"""Writes layer_merging.safetensors: a small vision transformer between whose layers tokens merge, in plain PyTorch from the
formulas of Bolya et al. (ICLR 2023): make_layer_merging.py

Needs torch and safetensors. Weights and pixels are the golden tests' numbers (tests/support/close_to.h), scaled as
tests/vision/encoders/layer_merging_test.cpp scales them. Each case gives "<case>.features" and "<case>.row_of"."""
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

sys.path.append(str(Path(__file__).parents[2] / "reference"))
from lcg import lcg  # noqa: E402
from token_merging import merged  # noqa: E402

WIDTH, HEADS, LAYERS, MLP, SIDE, PATCH = 64, 4, 4, 96, 16, 2


class Weights:
    """In the order in which they are drawn; matrices are scaled to keep the stream lively."""

    def __init__(self, clip):
        self.seed = 0
        self.patch = self.draw(WIDTH, 3, PATCH, PATCH)
        self.positions = self.draw((SIDE // PATCH) ** 2 + clip, WIDTH)
        self.class_token = self.draw(WIDTH) if clip else None
        self.layers = []
        for _ in range(LAYERS):
            shapes = dict(q=(WIDTH, WIDTH), k=(WIDTH, WIDTH), v=(WIDTH, WIDTH), out=(WIDTH, WIDTH), fc1=(MLP, WIDTH), fc2=(WIDTH, MLP))
            self.layers.append({name: self.draw(*shape) for name, shape in shapes.items()})

    def draw(self, *shape):
        self.seed += 1
        return lcg(self.seed, *shape).double() * 0.3


def norm(x):
    return F.layer_norm(x, x.shape[-1:])


def encode(weights, pixels, pairs, by_size, reading):
    """One picture: features and, for each place, the row that stands for it."""
    x = F.conv2d(pixels, weights.patch, stride=PATCH).flatten(2).transpose(1, 2)[0]
    clip = weights.class_token is not None
    if clip:
        x = torch.cat([weights.class_token.unsqueeze(0), x])
    x = x + weights.positions
    if clip:
        x = norm(x)
    members = [[i] for i in range(len(x))]  # places, the row's own first
    for layer, r in zip(weights.layers, pairs):
        y = norm(x)
        q, k, v = ((y @ layer[name].T).view(len(x), HEADS, -1).transpose(0, 1) for name in "qkv")
        size = torch.tensor([len(each) for each in members], dtype=x.dtype)
        logits = q @ k.transpose(1, 2) / (WIDTH // HEADS) ** 0.5
        if by_size:
            logits = logits + size.log()
        x = x + (logits.softmax(-1) @ v).transpose(0, 1).reshape(len(x), -1) @ layer["out"].T
        x, members = merged(x, members, k.mean(0), r, clip)
        x = x + F.gelu(norm(x) @ layer["fc1"].T) @ layer["fc2"].T
    if reading:
        order = sorted(range(len(x)), key=lambda row: members[row][0])
        x, members = x[order], [members[row] for row in order]
    row_of = torch.empty((SIDE // PATCH) ** 2 + clip, dtype=torch.long)
    for row, places in enumerate(members):
        row_of[places] = row
    return (x[1:], row_of[1:] - 1) if clip else (norm(x), row_of)


def main():
    pixels = lcg(99, 2, 3, SIDE, SIDE).double()
    constant = lambda keep: [int((SIDE // PATCH) ** 2 * (1 - keep) / LAYERS)] * LAYERS
    cases = dict(clip_half=(True, constant(0.5), True, True), clip_release=(True, constant(0.3), False, False),
                 clip_decreasing=(True, [16, 10, 5, 0], True, False), siglip_third=(False, constant(1 / 3), True, True),
                 siglip_plain=(False, constant(0.1), False, True))
    out = {}
    for name, (clip, pairs, by_size, reading) in cases.items():
        results = [encode(Weights(clip), picture.unsqueeze(0), pairs, by_size, reading) for picture in pixels]
        out[name + ".features"] = torch.stack([features for features, _ in results]).float()
        out[name + ".row_of"] = torch.stack([rows for _, rows in results]).to(torch.uint8)
    save_file(out, str(Path(__file__).with_name("layer_merging.safetensors")))
    print({name: tuple(value.shape) for name, value in out.items()})


main()
