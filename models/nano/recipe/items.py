"""The item of a seed: pictures and what is true of them. Needs numpy and Pillow alone."""
import numpy as np

from . import photos, seeds, speech
from .driving import sample as driving
from .pages import sample as pages
from .seeds import choose
from .truth import Agent, Item

RECORDED = .3       # share of driving scenes whose traffic is SUMO's
SPOKEN = .2         # share of clips over which somebody speaks


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


def driven(seed, views, assets, times=None):
    """Of scripted scenes and, where traffic was recorded, of that."""
    if assets.traffic and seeds.generator(seed, "traffic").random() < RECORDED:
        return driving.sample(seed, views, make=assets.traffic.maker(seed), count=times)
    return driving.sample(seed, views, count=times)


def made(task, seed, views, assets, held_out=False, times=None):
    """(pictures, item, invented class or None) of one seed; `times` is the number of pictures where it is not the usual one."""
    if task == "naming":
        item, invented = naming(seeds.generator(seed, "naming"), seed, assets.classes)
        return np.zeros((1, photos.TIMES, photos.SIDE, photos.SIDE, 3), np.uint8), item, invented
    pictures, item = {"driving": lambda: driven(seed, views, assets, times),
                      "photos": lambda: photos.sample(seed, assets, held_out, times or photos.TIMES),
                      "pages": lambda: pages.sample(seed, assets)}[task]()
    random = seeds.generator(seed, "speech")
    if task != "pages" and random.random() < SPOKEN:
        item.transcript = speech.transcript(random)
    return pictures, item, None
