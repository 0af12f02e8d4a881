"""LEOPARD in plain Python and PyTorch, from its formulas and the order of its published evaluation code: which pictures become
which tiles, and what its connector reads. Pictures are PIL's."""
import math
import types

import torch
from PIL import Image


def grid_of(size, allowance, side):
    """Columns and rows: most pixels of the picture, then fewest wasted ones, then the first. None for no tiles."""
    best, score = None, None
    for rows in range(1, allowance + 1):
        for columns in range(1, allowance // rows + 1):
            if rows * columns == 1:
                continue
            scale = min(columns * side / size[0], rows * side / size[1])
            kept = min(int(size[0] * scale) * int(size[1] * scale), size[0] * size[1])
            if best is None or (kept, kept - rows * columns * side ** 2) > score:
                best, score = (columns, rows), (kept, kept - rows * columns * side ** 2)
    return best


def canvases(images, side, budget):
    """Of each picture its grid's black canvas with it in the middle, None for one that is not cut, and the whole in one tile."""
    own = [round(i.size[0] / side) * round(i.size[1] / side) for i in images]
    own = [0 if n == 1 else n for n in own]
    left = budget - len(images)
    if sum(own) > left:
        own = [int(n * (left / sum(own))) for n in own]
    for image, allowance in zip(images, own):
        grid, canvas = grid_of(image.size, allowance, side), None
        if grid:
            to = (grid[0] * side, grid[1] * side)
            across, down = to[0] / image.size[0], to[1] / image.size[1]
            if across < down:
                scaled = (to[0], min(math.ceil(image.size[1] * across), to[1]))
            else:
                scaled = (min(math.ceil(image.size[0] * down), to[0]), to[1])
            canvas = Image.new("RGB", to)
            canvas.paste(image.resize(scaled, Image.BICUBIC), ((to[0] - scaled[0]) // 2, (to[1] - scaled[1]) // 2))
        yield canvas, image.resize((side, side), Image.BICUBIC)


def tiles(images, side, budget):
    """The tiles of all pictures: of each the whole, then its canvas row by row."""
    for canvas, whole in canvases(images, side, budget):
        yield whole
        if canvas:
            for y in range(0, canvas.size[1], side):
                for x in range(0, canvas.size[0], side):
                    yield canvas.crop((x, y, x + side, y + side))


class Connector(torch.nn.Module):
    """Squares of 2 x 2 places side by side, then two layers."""

    def __init__(self, width, to):
        super().__init__()
        self.linear_1, self.linear_2 = torch.nn.Linear(4 * width, to), torch.nn.Linear(to, to)

    def forward(self, x):
        side = math.isqrt(x.shape[1])
        squares = x.unflatten(1, (side // 2, 2, side // 2, 2)).transpose(2, 3).reshape(len(x), (side // 2) ** 2, -1)
        return self.linear_2(torch.nn.functional.gelu(self.linear_1(squares)))


def make_leopard(llava):
    """Turns transformers' LlavaForConditionalGeneration over SigLIP into LEOPARD's model."""
    config, model = llava.config, llava.model
    model.multi_modal_projector = Connector(config.vision_config.hidden_size, config.text_config.hidden_size)

    def get_image_features(pixel_values, **_):
        features = model.multi_modal_projector(model.vision_tower(pixel_values).last_hidden_state)
        return types.SimpleNamespace(pooler_output=list(features))

    model.get_image_features = get_image_features
    return llava
