"""The Combiner of Mirasol3B (Piergiovanni et al., CVPR 2024), written from its formulas with torch's own modules: what Longview's is
compared with. Its authors published neither code nor weights."""
import torch
from torch import nn


def encoder(width, depth, heads, hidden):
    layer = nn.TransformerEncoderLayer(width, heads, hidden, 0.0, "gelu", batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), enable_nested_tensor=False)


class Input(nn.Module):
    def __init__(self, features, width, most):
        super().__init__()
        self.into, self.places = nn.Linear(features, width), nn.Parameter(torch.zeros(most, width))

    def forward(self, x):
        return self.into(x) + self.places[:len(x)]


class Selector(nn.Module):
    def __init__(self, width, hidden, count):
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, count)

    def forward(self, x):
        return self.linear2(nn.functional.gelu(self.linear1(x))).softmax(0).T @ x


class Combiner(nn.Module):
    """kind "transformer": all snippets at once, under a mask for the outputs of those before; "ttm": read and written in turn."""

    def __init__(self, kind, video, audio, width, tokens, depth, heads, most_video, most_audio, read=0, memory=0):
        super().__init__()
        self.kind, self.tokens = kind, tokens
        self.video, self.audio = Input(video, width, most_video), Input(audio, width, most_audio)
        made = encoder(width, depth, heads, 2 * width)
        self.layers, self.norm = made.layers, made.norm
        self.out = nn.Linear(width, video)
        if kind == "ttm":
            self.read, self.write = Selector(width, 2 * read, read), Selector(width, 2 * memory, memory)
            self.memory = nn.Parameter(torch.zeros(memory, width))
            self.memory_places = nn.Parameter(torch.zeros(memory, width))

    def encode(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)

    def forward(self, snippets):
        """[(video [nv, D], audio [na, Da]), ...] -> [[m, D], ...]"""
        made, memory = [], getattr(self, "memory", None)
        for video, audio in snippets:
            x = torch.cat([self.audio(audio), self.video(video)])
            if self.kind == "transformer":
                made.append(self.encode(torch.cat([*made, x])[None])[0, -self.tokens:])
                continue
            o = self.encode(self.read(torch.cat([memory + self.memory_places, x]))[None])[0]
            memory = self.write(torch.cat([memory, o, x]))
            made.append(o[-self.tokens:])
        return [self.out(rows) for rows in made]
