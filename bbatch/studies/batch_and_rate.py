"""The map of batch size and learning rate: every batch size up to the full batch, at rates an octave apart.

Without a rule and without a schedule: each cell trains at one constant rate. A fifth of the training samples
is held out, as large a share as the paper gives to the test set; the best rate is chosen on them, and the
test set judges.
"""

import math
from dataclasses import dataclass

from ..config import DATASETS, plan
from .trial import Trial

SHARE = 0.2  # of the samples that are not for testing


@dataclass(frozen=True)
class Map:
    """`samples`: how many of the training samples are used, held-out ones among them. Rates are the paper's
    base rate times 2^k for k in `octaves`; the upper end grows with the batch where the linear rule leads
    above it."""

    samples: int
    batch_sizes: tuple[int, ...]
    octaves: tuple[int, int]
    # up to the base batch size; rates above it gave chance in first trials, and cost most
    small_batch_top: int
    seeds: int


def _powers(first: int, last: int) -> tuple[int, ...]:
    return tuple(2**k for k in range(first.bit_length() - 1, last.bit_length()))


MAPS: dict[str, Map] = {
    "synthetic-1k": Map(800, (*_powers(1, 512), 640), (-6, 8), 6, 10),
    "synthetic-10k": Map(8_000, (*_powers(1, 4096), 6_400), (-6, 8), 6, 10),
    "synthetic-50k": Map(40_000, (*_powers(1, 16_384), 32_000), (-6, 8), 6, 10),
    # Images cost hours: a sixth or a fifth of them, fewer rates, three seeds.
    "mnist": Map(10_000, _powers(8, 1024), (-7, 2), 2, 3),
    "cifar10": Map(10_000, _powers(8, 1024), (-4, 5), 5, 3),
}


def rates(dataset: str, batch_size: int) -> list[float]:
    """The rates that are tried at a batch size, ascending."""
    m, protocol = MAPS[dataset], DATASETS[dataset].protocol
    bottom, top = m.octaves
    if batch_size <= protocol.base_batch:
        top = m.small_batch_top
    top = max(top, round(math.log2(batch_size / protocol.base_batch)))
    return [protocol.base_lr * 2.0**k for k in range(bottom, top + 1)]


def map_trials(dataset: str, precision: str = "fp32") -> list[Trial]:
    """All cells and seeds of a data set's map, large batches, which cost least, first. No warm-up."""
    m, plain = MAPS[dataset], {"lr_rule": "constant", "warmup_epochs": 0}
    held_out = round(SHARE * m.samples)
    return [
        Trial(
            plan(
                dataset, b, 42 + k, base_lr=rate, n_train=m.samples - held_out, precision=precision, **plain
            ),
            held_out,
        )
        for b in sorted(m.batch_sizes, reverse=True)
        for rate in rates(dataset, b)
        for k in range(m.seeds)
    ]
