"""From maps of an encoder to tokens of the language model, with positions in space, time and view."""
import torch
import torch.nn.functional as F
from torch import nn

from .efficientnet import CELL_WIDTH

HIDDEN = 1152
GRID = 14          # rows and columns that have positions of their own
VIEWS = ("front", "front left", "front right", "rear", "rear left", "rear right", "page")
WAVES = 8          # sines and cosines of the time, from 1/8 turn a second up


class Connector(nn.Module):
    """Cells of pictures, what changed since the picture before, and what the classifier names there -> tokens [B, V T R C, D]."""

    def __init__(self, words):
        """words [1000, D]: the mean embedding of each class's name."""
        super().__init__()
        width = words.shape[1]
        self.register_buffer("words", words.float(), persistent=False)
        self.norm = nn.LayerNorm(2 * CELL_WIDTH)
        self.wide, self.narrow = nn.Linear(2 * CELL_WIDTH, HIDDEN), nn.Linear(HIDDEN, width)
        with torch.no_grad():
            self.narrow.weight.mul_(4)     # what is seen begins as large as what is named
        self.named = nn.Linear(width, width, bias=False)
        nn.init.eye_(self.named.weight)
        scale = float(words.float().pow(2).mean().sqrt())
        self.gain = nn.Parameter(torch.full((width,), scale))
        self.rows, self.columns, self.views = (nn.Parameter(torch.randn(n, width) * scale * .3) for n in (GRID, GRID, len(VIEWS)))
        self.time = nn.Linear(2 * WAVES, width, bias=False)
        nn.init.normal_(self.time.weight, std=scale * .1)

    def forward(self, cells, shares, views, times, seen):
        """cells [B, V, T, R, C, F], shares [B, V, T, R, C, 1000] of classes, views [B, V] numbers, times [B, T] seconds; seen [B] is 0 where the
        features are to be ignored. Adds to each token where and when it is."""
        batch, v, t, r, c, _ = cells.shape
        change = torch.cat([torch.zeros_like(cells[:, :, :1]), cells[:, :, 1:] - cells[:, :, :-1]], 2)
        x = self.norm(torch.cat([cells, change], -1).float())
        x = self.narrow(F.gelu(self.wide(x))) * seen.view(-1, 1, 1, 1, 1, 1)
        x = x + self.named(shares.float() @ self.words) / self.words.pow(2).mean().sqrt()
        x = F.rms_norm(x, (x.shape[-1],)) * self.gain
        x = x + self.rows[:r, None] + self.columns[:c] + self.views[views][:, :, None, None, None] + self.at(times)[:, None, :, None, None]
        return x.flatten(1, 4)

    def at(self, times):
        angles = times.float()[..., None] * (torch.pi / 4) * 1.7 ** torch.arange(WAVES, device=times.device)
        return self.time(torch.cat([angles.sin(), angles.cos()], -1))
