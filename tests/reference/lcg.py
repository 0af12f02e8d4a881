"""The golden tests' numbers, so that inputs and weights need not be stored: tests/support/close_to.h, lcg_tensor()."""
import numpy as np
import torch


def lcg(seed, *shape):
    """float32 in [-1, 1) of a linear congruential generator modulo 2^32, of which all states are had at once:
    a^n seed + c (1 + a + ... + a^(n - 1))."""
    powers = np.cumprod(np.full(int(np.prod(shape)), 1664525, np.uint32), dtype=np.uint32)
    sums = np.cumsum(np.concatenate([np.ones(1, np.uint32), powers[:-1]]), dtype=np.uint32)
    states = powers * np.uint32(seed) + sums * np.uint32(1013904223)
    return torch.from_numpy((states / 2**31 - 1).astype(np.float32)).reshape(shape)
