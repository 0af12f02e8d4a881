"""The whole of nano: eyes, connector, interactor, language model, pointer."""
import json

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from . import gguf_file
from .connector import Connector, VIEWS
from .efficientnet import CELL_WIDTH, EfficientNetLite0, cells_of
from .evidence import EvidencePointer
from .interactor import Interactor
from .language import LanguageModel
from .merging import merged

RANK = 32
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"   # as the checkpoint's own template begins
LEAST_SHARE, MOST_NAMES = 0.1, 4    # of a class whose name goes into the prompt, as the program's scenes do
LIMIT_BYTES = 40 << 20


class Nano(nn.Module):
    """`eyes` are trained, `classifier` is the same network as it came. Everything trained has a name in trained()."""

    def __init__(self, assets, rank=RANK, dtype=torch.float32):
        super().__init__()
        metadata, tensors = gguf_file.read(assets.folder / "smollm2.gguf")
        self.tokenizer = gguf_file.tokenizer(metadata)
        self.language = LanguageModel(metadata, tensors, rank, dtype)
        weights = load_file(assets.folder / "efficientnet.safetensors")
        self.eyes, self.classifier = EfficientNetLite0(weights), EfficientNetLite0(weights).requires_grad_(False)
        for unused in (self.eyes.head, self.eyes.fc):
            unused.requires_grad_(False)
        self.eyes.to(memory_format=torch.channels_last), self.classifier.to(memory_format=torch.channels_last)
        self.classes = assets.classes
        embedding = self.language.embedding.float()
        self.connector = Connector(torch.stack([embedding[self.ids(" " + name)].mean(0) for name in assets.classes]))
        width = embedding.shape[1]
        self.interactor, self.pointer = Interactor(width), EvidencePointer(width)

    def ids(self, text):
        return self.tokenizer.encode(text).ids

    def trained(self):
        """{name: parameter} of all that training changes."""
        return {name: x for name, x in self.named_parameters() if x.requires_grad}

    @torch.no_grad()
    def class_shares(self, pictures):
        """Of each cell [P, R, C, 1000] and of each picture [P, 1000]."""
        coarse = self.classifier.maps(pictures)[-1]
        cells, whole = self.classifier.class_logits(coarse)
        return cells.float().softmax(-1).unflatten(1, coarse.shape[2:]), whole.float().softmax(-1)

    def best(self, shares):
        """(shares, numbers) [B, n] of the best classes of each item's pictures [B, P, 1000]."""
        return shares.amax(1).topk(MOST_NAMES)

    def names(self, best, classes):
        """Their names, the most probable first, of those that are probable."""
        return [[self.classes[i] for x, i in zip(*row) if x > LEAST_SHARE] for row in zip(best.tolist(), classes.tolist())]

    def look(self, pictures, views, times, shares, seen):
        """Tokens [B, V, T R C, D] of pictures uint8 [B, V, T, 3, H, W], or of none (0 channels); shares [B, V, T, R, C, 1000]."""
        batch, v, t, channels = pictures.shape[:4]
        if channels:
            cells = cells_of(self.eyes.maps(pictures.flatten(0, 2))).unflatten(0, (batch, v, t))
        else:
            cells = torch.zeros(*shares.shape[:-1], CELL_WIDTH, device=shares.device)
        return self.connector(cells, shares, views, times, seen).unflatten(1, (v, -1))

    def fewer(self, tokens, keep, question):
        """([B, n, D], row_of [B, V M] with -1 for cells that no token stands for, relevance or None). One view is merged; of several, the interactor
        keeps the share of each that the question [B, L, D] is about."""
        if tokens.shape[1] == 1:
            x, row_of = merged(tokens[:, 0], keep)
            return x, row_of, None
        count = max(int(keep * tokens.shape[2] + 1e-9), 1)
        x, places, scores = self.interactor(tokens, question, count)
        row_of = torch.full(tokens.shape[:3], -1, device=tokens.device)
        numbers = torch.arange(x.shape[1], device=tokens.device).view(1, tokens.shape[1], -1).expand_as(places)
        return x, row_of.scatter(2, places, numbers).flatten(1), scores

    def opening(self):
        return self.ids(f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n")

    def save(self, path):
        """Writes what was trained as bf16 safetensors. Throws ValueError beyond LIMIT_BYTES."""
        tensors = {name: x.detach().to("cpu", torch.bfloat16).contiguous() for name, x in self.trained().items()}
        size = sum(x.numel() * 2 for x in tensors.values())
        if size > LIMIT_BYTES:
            raise ValueError(f"{path}: expected at most {LIMIT_BYTES} bytes of weights, got {size}")
        save_file(tensors, path, {"format": "pt", "recipe": json.dumps({"rank": RANK, "views": VIEWS})})

    def load(self, path):
        """Takes weights that save() wrote. Throws ValueError on names or shapes that are not this model's."""
        tensors, own = load_file(path), self.trained()
        if tensors.keys() != own.keys():
            raise ValueError(f"{path}: expected this model's tensors, got others: {sorted(tensors.keys() ^ own.keys())[:4]}")
        with torch.no_grad():
            for name, x in own.items():
                x.copy_(tensors[name])


def answer_loss(language, hidden, labels, weights):
    """Mean nats of labelled tokens, by weights [N]; hidden [N, D] and labels [N] of the places before each."""
    lost = F.cross_entropy(language.logits(hidden).float(), labels, reduction="none")
    return (lost * weights).sum() / weights.sum()
