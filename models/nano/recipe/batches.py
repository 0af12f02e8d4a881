"""Micro-batches: samples of one task and one shape, made by worker processes in an order that depends on the seed alone."""
import collections
import dataclasses
import shutil

import numpy as np
import torch

from . import prompts, seeds
from .items import made
from .model import step
from .model.connector import VIEWS
from .seeds import choose

# What each step trains on, and besides one of these in turn: (task, items, views). Few large micro-batches, as most of a step's time goes into launching
# kernels. Naming has no pictures: the classifier's shares are invented.
EVERY = (("driving", 64, 1), ("photos", 64, 1))
IN_TURN = (("pages", 64, 1), ("driving", 16, 3), ("naming", 48, 1), ("pages", 64, 1), ("driving", 8, 6))
KEEPS = {1: (1.0, 1.0, .5, .25, .1), 3: (.5, .25, .1), 6: (.5, .25, .1)}    # by how many views there are
LENGTHS = {("driving", 1): (8, 8, 8, 8, 8, 4), ("photos", 1): (4, 4, 4, 4, 8, 1)}     # numbers of pictures, drawn anew for each micro-batch
TURNS = {"driving": 7, "photos": 3, "naming": 2, "pages": 4}       # questions besides the assessment and
CAPTIONS = {"driving": 1, "photos": 1, "naming": 1, "pages": 1}
GIVING_AWAY = {"present": 1, "count": 1, "color": 2, "side": 2, "motion": 3}     # questions that name what is there come behind those that ask for it
WEIGHTS = {"driving": 1.5, "photos": 1.0, "naming": 1.0, "pages": .5}


@dataclasses.dataclass
class Batch:
    """Pictures uint8 [B, V, T, H, W, 3] (of naming without channels), views [B, V], times [B, T]; turns of each item. `classes` (naming alone) has
    what each item invents: a list of (class, path [T, 3]). `lesson` is step.lesson(), where workers made it; items and turns stay with them then."""
    task: str
    keep: float
    pictures: torch.Tensor
    views: torch.Tensor
    times: torch.Tensor
    items: list
    turns: list
    classes: list
    lesson: object = None


def batch(task, keep, samples, turns):
    """A Batch of samples of one shape."""
    pictures, items, classes = zip(*samples)
    stacked = torch.from_numpy(np.stack(pictures))
    views = [[VIEWS.index(view) for view in item.views] for item in items]
    return Batch(task, keep, stacked[..., :0] if task == "naming" else stacked, torch.tensor(views), torch.tensor([item.times for item in items]),
                 list(items), turns, list(classes))


ECHOES, ECHO_STEPS = 2, 6     # how often what was drawn is trained on, each time with other questions and another keep ratio, and how many steps later


class Training(torch.utils.data.Dataset):
    """All micro-batches of drawing `start` + index of a run, for ECHOES steps, so that every worker has the same to do; each item has a seed of its own,
    below seeds.EVALUATION_FROM. `small` divides the items of each micro-batch, for tests."""

    def __init__(self, assets, tokenizer, start, length, small=1, shared=True):
        self.assets, self.tokenizer, self.start, self.length, self.small, self.shared = assets, tokenizer, start, length, small, shared

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        number = self.start + index
        parts = (*EVERY, IN_TURN[number % len(IN_TURN)])
        drawn = [self.micro(number * len(parts) + i, *part) for i, part in enumerate(parts)]
        return [[micro[echo] for micro in drawn] for echo in range(ECHOES)]

    def micro(self, number, task, count, views):
        """The same items ECHOES times."""
        random = seeds.generator(number, "batches")
        times = choose(random, LENGTHS.get((task, views), (None,)))
        samples = [made(task, seeds.training_seed((number * 64 + i) % seeds.EVALUATION_FROM), views, self.assets, times=times)
                   for i in range(max(count // self.small, 1))]
        first = None
        echoes = []
        for _ in range(ECHOES):
            got = batch(task, choose(random, KEEPS[views]), samples, [taught(sample[1], random) for sample in samples])
            got.lesson = step.lesson(self.tokenizer, got.items, got.turns, tuple(side // 32 for side in got.pictures.shape[3:5]))
            got.items, got.turns = [], []
            first = first if first is not None else got.pictures if self.shared else got.pictures.numpy()     # arrays travel through a pipe
            got.pictures = first
            echoes.append(got)
        return echoes


def taught(item, random):
    """What is asked of an item in training: always its assessment and own motion, captions and
    questions as many as CAPTIONS and TURNS say."""
    turns = prompts.turns_of(item, random)
    always = [turn for turn in turns if turn.kind in ("assess", "own")]
    captions = [turn for turn in turns if turn.kind.startswith("caption")]
    others = [turn for turn in turns if turn not in always and not turn.kind.startswith("caption")]
    kept = always + [captions[k] for k in random.permutation(len(captions))[:CAPTIONS[item.task]]]
    kept += [others[k] for k in random.permutation(len(others))[:TURNS[item.task]]]
    return sorted((kept[k] for k in random.permutation(len(kept))), key=lambda turn: GIVING_AWAY.get(turn.kind, 0))


class Echoed:
    """Steps of a loader of drawings, each drawing's echoes ECHO_STEPS drawings apart, page-locked where `pinned`."""

    def __init__(self, source, pinned):
        self.source, self.pinned, self.later, self.ready = source, pinned, collections.deque(), collections.deque()

    def __iter__(self):
        return self

    def __next__(self):
        if not self.ready:
            first, *others = next(self.source)
            if self.pinned:
                for i, batch in enumerate(first):
                    batch.pictures = torch.as_tensor(batch.pictures).pin_memory()
                    for other in others:
                        other[i].pictures = batch.pictures
            self.ready.append(first)
            self.later.extend(others)
            if len(self.later) > ECHO_STEPS:
                self.ready.append(self.later.popleft())
        return self.ready.popleft()


PREFETCHED = 2                  # drawings a worker
SHARED_BYTES = 160 << 20        # of a drawing's pictures


def loader(assets, tokenizer, start, length, workers, small=1):
    """Steps from drawing `start` on, in order. Begin before anything is on a GPU: workers are forked."""
    shared = shutil.disk_usage("/dev/shm").free > SHARED_BYTES * (PREFETCHED + 1) * max(workers, 1)
    options = {"prefetch_factor": PREFETCHED, "multiprocessing_context": "fork"} if workers else {}
    drawings = torch.utils.data.DataLoader(Training(assets, tokenizer, start, length, small, shared), batch_size=None, num_workers=workers,
                                           collate_fn=lambda drawn: drawn, **options)
    return Echoed(iter(drawings), torch.cuda.is_available())
