"""Micro-batches: samples of one task and one shape, made by worker processes in an order that depends on the seed alone."""
import dataclasses
import shutil

import numpy as np
import torch

from . import photos, prompts, seeds, speech
from .driving import sample as driving
from .model.connector import VIEWS
from .pages import sample as pages
from .seeds import choose
from .truth import Agent, Item

# What each step trains on, and besides one of these in turn: (task, items, views). Few large micro-batches, as most of a step's time goes into launching
# kernels. Naming has no pictures: the classifier's shares are invented.
EVERY = (("driving", 64, 1), ("photos", 64, 1))
IN_TURN = (("pages", 64, 1), ("driving", 16, 3), ("naming", 48, 1), ("pages", 64, 1), ("driving", 8, 6))
KEEPS = {1: (1.0, 1.0, .5, .25, .1), 3: (.5, .25, .1), 6: (.5, .25, .1)}    # by how many views there are
TURNS = {"driving": 6, "photos": 4, "naming": 2, "pages": 4}
RECORDED = .3       # share of driving scenes whose traffic is SUMO's
SPOKEN = .2         # share of clips over which somebody speaks


@dataclasses.dataclass
class Batch:
    """Pictures uint8 [B, V, T, H, W, 3] (of naming without channels), views [B, V], times [B, T]; turns of each item. `classes` (naming alone) has
    what each item invents: a list of (class, path [T, 3]). `scripts` are those of prompts.nameless, where workers made them."""
    task: str
    keep: float
    pictures: torch.Tensor
    views: torch.Tensor
    times: torch.Tensor
    items: list
    turns: list
    classes: list
    scripts: list | None = None

    def pin_memory(self):
        """Page-locked pictures, as a loader asks for."""
        return dataclasses.replace(self, pictures=torch.as_tensor(self.pictures).pin_memory())


def naming(random, seed, names):
    """An item without pictures: one thing of a class of ImageNet's moves. Gives (its class, its path) besides."""
    number, motion = int(random.integers(len(names))), choose(random, tuple(photos.MOTIONS))
    agents = [Agent(names[number], "", motion, "front", [], 0.0, 1.5)]
    item = Item("naming", seed, ["front"], [.5 * t for t in range(photos.TIMES)], photos.captions(random, agents, "a wall"), {}, agents,
                questions=photos.questions(random, agents))
    del item.captions["background"], item.captions["detailed"]     # there is no background
    for question in item.questions:
        question.evidence = []
    return item, (number, photos.path(random, motion, 1, 0))


def driven(seed, views, assets):
    """Of scripted scenes and, where traffic was recorded, of that."""
    if assets.traffic and seeds.generator(seed, "traffic").random() < RECORDED:
        return driving.sample(seed, views, make=assets.traffic.maker(seed))
    return driving.sample(seed, views)


def made(task, seed, views, assets, held_out=False):
    """(pictures, item, invented class or None) of one seed."""
    if task == "naming":
        item, invented = naming(seeds.generator(seed, "naming"), seed, assets.classes)
        return np.zeros((1, photos.TIMES, photos.SIDE, photos.SIDE, 3), np.uint8), item, invented
    pictures, item = {"driving": lambda: driven(seed, views, assets), "photos": lambda: photos.sample(seed, assets, held_out),
                      "pages": lambda: pages.sample(seed, assets)}[task]()
    random = seeds.generator(seed, "speech")
    if task != "pages" and random.random() < SPOKEN:
        item.transcript = speech.transcript(random)
    return pictures, item, None


def batch(task, keep, samples, turns):
    """A Batch of samples of one shape."""
    pictures, items, classes = zip(*samples)
    stacked = torch.from_numpy(np.stack(pictures))
    views = [[VIEWS.index(view) for view in item.views] for item in items]
    return Batch(task, keep, stacked[..., :0] if task == "naming" else stacked, torch.tensor(views), torch.tensor([item.times for item in items]),
                 list(items), turns, list(classes))


class Training(torch.utils.data.Dataset):
    """All micro-batches of step `start` + index of a run, so that every worker has the same to do; each item has a seed of its own, below
    seeds.EVALUATION_FROM. `small` divides the items of each micro-batch, for tests."""

    def __init__(self, assets, tokenizer, start, length, small=1, shared=True):
        self.assets, self.tokenizer, self.start, self.length, self.small, self.shared = assets, tokenizer, start, length, small, shared

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        step = self.start + index
        parts = (*EVERY, IN_TURN[step % len(IN_TURN)])
        return [self.micro(step * len(parts) + i, *part) for i, part in enumerate(parts)]

    def micro(self, number, task, count, views):
        random = seeds.generator(number, "batches")
        samples, turns = [], []
        for i in range(max(count // self.small, 1)):
            sample = made(task, seeds.training_seed((number * 64 + i) % seeds.EVALUATION_FROM), views, self.assets)
            asked = prompts.turns_of(sample[1], random)
            turns.append([asked[k] for k in random.permutation(len(asked))[:TURNS[task]]])
            samples.append(sample)
        got = batch(task, choose(random, KEEPS[views]), samples, turns)
        got.scripts = [prompts.nameless(self.tokenizer, item, own) for item, own in zip(got.items, turns)]
        if not self.shared:
            got.pictures = got.pictures.numpy()     # travels through a pipe
        return got


PREFETCHED = 3                  # steps a worker
SHARED_BYTES = 160 << 20        # of a step's pictures


def loader(assets, tokenizer, start, length, workers, small=1):
    """Steps `start` to `start + length` in order. Begin before anything is on a GPU: workers are forked."""
    shared = shutil.disk_usage("/dev/shm").free > SHARED_BYTES * (PREFETCHED + 1) * max(workers, 1)
    options = {"prefetch_factor": PREFETCHED, "multiprocessing_context": "fork"} if workers else {}
    return torch.utils.data.DataLoader(Training(assets, tokenizer, start, length, small, shared), batch_size=None, num_workers=workers,
                                       pin_memory=torch.cuda.is_available(), **options)
