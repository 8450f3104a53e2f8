"""Random streams: three independent seeds a run, and one fresh stream an epoch for each.

A stream is a function of (seed, purpose, epoch), never of how much was drawn before, so a run that resumes at
epoch k draws exactly what an undisturbed one draws there, with no generator state to save.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Seeds:
    """The three seeds of a run: initial weights; order of the samples; dropout masks and augmentation."""

    init: int
    order: int
    noise: int


def seeds_of(seed: int) -> Seeds:
    """Three 32-bit seeds derived from a run's one seed through NumPy's `SeedSequence`."""
    return Seeds(*(int(v) for v in np.random.SeedSequence(seed).generate_state(3, np.uint32)))


def subset(seeds: Seeds, n_full: int, n: int) -> np.ndarray:
    """Which `n` of `n_full` training samples a run uses: all in place, or a random subset, [n] int64."""
    if n == n_full:
        return np.arange(n_full)
    # a second word that is no epoch's: NumPy takes [s] and [s, 0] for the same seed
    return np.random.default_rng([seeds.order, 2**32 - 1]).permutation(n_full)[:n]


def order(seeds: Seeds, epoch: int, n: int) -> np.ndarray:
    """The order in which epoch `epoch` (from 0) visits `n` samples, [n] int64: drawn without replacement."""
    return np.random.default_rng([seeds.order, epoch]).permutation(n)


def noise_seed(seeds: Seeds, epoch: int) -> int:
    """A 63-bit seed for everything random inside epoch `epoch` but the order: dropout, crops, flips."""
    return int(np.random.SeedSequence([seeds.noise, epoch]).generate_state(1, np.uint64)[0] >> 1)


def noise_bits(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Uniform random int16 of `shape`: what dropout masks are cut from (:func:`keep`).

    Four elements to a draw: torch's own `bernoulli_` spends a whole draw on each and costs as much as a
    layer's arithmetic. Rows drawn in several calls have the same bits as in one, if rows are multiples of 4.
    """
    size = math.prod(shape)
    raw = torch.empty((size + 3) // 4, dtype=torch.int64, device=generator.device)
    return raw.random_(-(2**63), None, generator=generator).view(torch.int16)[:size].view(shape)


def keep(bits: torch.Tensor, p: float) -> torch.Tensor:
    """Dropout mask, bool of the shape of `bits`: True (keep) with probability 1 - round(p * 2^16) / 2^16."""
    return bits >= round(p * 65536) - 32768
