"""Micro-batches: samples of one task and one shape, made by worker processes in an order that depends on the seed alone."""
import dataclasses

import numpy as np
import torch

from . import photos, prompts, seeds, speech
from .driving import sample as driving
from .model.connector import VIEWS
from .pages import sample as pages
from .seeds import choose
from .truth import Agent, Item

# What one step trains on: (task, items, views). Naming has no pictures: the classifier's shares are invented.
STEP = (("driving", 32, 1), ("driving", 6, 3), ("driving", 3, 6), ("photos", 32, 1), ("naming", 16, 1), ("pages", 32, 1))
KEEPS = {1: (1.0, 1.0, .5, .25, .1), 3: (.5, .25, .1), 6: (.5, .25, .1)}    # by how many views there are
TURNS = {"driving": 6, "photos": 4, "naming": 2, "pages": 4}
RECORDED = .3       # share of driving scenes whose traffic is SUMO's
SPOKEN = .2         # share of clips over which somebody speaks


@dataclasses.dataclass
class Batch:
    """Pictures uint8 [B, V, T, H, W, 3], views [B, V], times [B, T]; turns of each item. `classes` (naming alone) has what each item invents:
    a list of (class, path [T, 3])."""
    task: str
    keep: float
    pictures: torch.Tensor
    views: torch.Tensor
    times: torch.Tensor
    items: list
    turns: list
    classes: list


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
    views = [[VIEWS.index(view) for view in item.views] for item in items]
    return Batch(task, keep, torch.from_numpy(np.stack(pictures)), torch.tensor(views), torch.tensor([item.times for item in items]),
                 list(items), turns, list(classes))


class Training(torch.utils.data.Dataset):
    """Micro-batch m of a run; each item has a seed of its own, below seeds.EVALUATION_FROM."""

    def __init__(self, assets, start, length):
        self.assets, self.start, self.length = assets, start, length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        number = self.start + index
        task, count, views = STEP[number % len(STEP)]
        random = seeds.generator(number, "batches")
        samples, turns = [], []
        for i in range(count):
            sample = made(task, seeds.training_seed((number * 64 + i) % seeds.EVALUATION_FROM), views, self.assets)
            asked = prompts.turns_of(sample[1], random)
            turns.append([asked[k] for k in random.permutation(len(asked))[:TURNS[task]]])
            samples.append(sample)
        return batch(task, choose(random, KEEPS[views]), samples, turns)


def loader(assets, start, length, workers):
    """Micro-batches `start` to `start + length` in order."""
    options = {"prefetch_factor": 4} if workers else {}
    return torch.utils.data.DataLoader(Training(assets, start, length), batch_size=None, num_workers=workers, pin_memory=torch.cuda.is_available(),
                                       **options)
