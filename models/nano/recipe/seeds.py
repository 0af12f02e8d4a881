"""Which seeds may train, and random numbers that depend on a seed and a name alone."""
import zlib

import numpy as np

EVALUATION_FROM = 1_000_000


def training_seed(seed):
    """`seed`, if it may be trained or tuned on: 0 to 999,999. Throws ValueError on those that only evaluation may see."""
    if not 0 <= seed < EVALUATION_FROM:
        raise ValueError(f"seed: expected 0 to {EVALUATION_FROM - 1} in training, got {seed}")
    return seed


def evaluation_seed(seed):
    """`seed`, if it was never trained on. Throws ValueError on others."""
    if seed < EVALUATION_FROM:
        raise ValueError(f"seed: expected {EVALUATION_FROM} or more in evaluation, got {seed}")
    return seed


def generator(seed, stream):
    """A numpy generator: equal for equal seed and stream, independent between streams."""
    return np.random.Generator(np.random.SFC64([seed, zlib.crc32(stream.encode())]))


def held_out(name):
    """Whether a thing of this name is kept from training altogether: one in ten, by its name alone."""
    return zlib.crc32(name.encode()) % 10 == 0


def choose(random, options):
    """One of a sequence, its type kept."""
    return options[int(random.integers(len(options)))]
