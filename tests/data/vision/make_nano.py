"""Writes nano.safetensors: what the recipe's connector and interactor make of numbers: make_nano.py

Run from the repository's root with torch 2.11.0 and safetensors. Weights and features are numbers of the golden tests' generator
(tests/support/close_to.h), each tensor with a seed of its own, so that only results are stored.
"""
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path += ["models/nano", "tests/reference"]
from lcg import lcg  # noqa: E402
from recipe.model.connector import VIEWS, Connector  # noqa: E402
from recipe.model.efficientnet import CELL_WIDTH  # noqa: E402
from recipe.model.interactor import Interactor  # noqa: E402

WIDTH, CLASSES, ROWS, COLUMNS = 8, 5, 2, 3


def fill(module, seed, scale):
    """In the order of the parameters' names; norms near one."""
    for name, weight in sorted(module.named_parameters()):
        seed += 1
        norm = "norm" in name and name.endswith("weight")
        weight.copy_(1 + 0.2 * lcg(seed, *weight.shape) if norm else scale * lcg(seed, *weight.shape))


@torch.no_grad()
def main():
    connector = Connector(lcg(1, CLASSES, WIDTH))
    fill(connector, 100, .1)
    cells = lcg(2, 1, 1, 3, ROWS, COLUMNS, CELL_WIDTH)
    shares = (4 * lcg(3, 1, 1, 3, ROWS, COLUMNS, CLASSES)).softmax(-1)
    seen = torch.ones(1)
    film = connector(cells, shares, torch.tensor([[VIEWS.index("rear left")]]), torch.tensor([[0, .5, 1.25]]), seen)
    page = connector(cells[:, :, :1], shares[:, :, :1], torch.tensor([[VIEWS.index("page")]]), torch.zeros(1, 1), seen)
    interactor = Interactor(WIDTH).eval()
    fill(interactor, 200, .3)
    asked, places, _ = interactor(lcg(4, 1, 2, 5, WIDTH), lcg(5, 1, 4, WIDTH), 2)
    save_file({"film": film[0].contiguous(), "page": page[0].contiguous(), "asked": asked[0].contiguous(), "places": places[0].flatten().contiguous()},
              str(Path(__file__).with_name("nano.safetensors")))


main()
