"""Equal steps: every batch size makes as many steps as B = 32 makes in the paper's 50 epochs (Hoffer et al. 2017).

Beside it the same runs with equally many epochs, as in the paper, so that the share of the gap that the steps close
is a difference between runs of the same seeds. All training samples are used, as in the paper.
"""

from __future__ import annotations

from ..config import DATASETS, LR_RULES, SYNTHETIC, plan
from .trial import Trial

SIZES = (32, 64, 128, 256, 512)
SEEDS = 10


def epochs_for_equal_steps(dataset: str, batch_size: int) -> int:
    """Epochs after which a batch size has made as nearly as can be the steps of B = 32 in the paper's epochs.

    Steps, not samples, are made equal: where a last, partial batch makes a step of its own, fewer epochs are needed
    than in proportion to B.
    """
    of_base, here = plan(dataset, 32), plan(dataset, batch_size)
    return round(of_base.epochs * of_base.steps_per_epoch / here.steps_per_epoch)


def batch_sizes(dataset: str) -> tuple[int, ...]:
    """The sizes tried; the full batch only where its 1,250 epochs and more take seconds, not a quarter of an hour."""
    return SIZES + ((DATASETS[dataset].n_train,) if dataset != "synthetic-50k" else ())


def trials(precision: str = "fp32") -> list[Trial]:
    """Three data sets, three rules, equal epochs and equal steps; cheap ones first. At B = 32 all ways are one run."""
    cells = [
        (DATASETS[d].n_train * epochs, d, b, rule, epochs)
        for d in SYNTHETIC
        for b in batch_sizes(d)
        for rule in (LR_RULES if b != 32 else ("linear",))
        for epochs in dict.fromkeys((plan(d, b).epochs, epochs_for_equal_steps(d, b)))
    ]
    return [
        Trial(plan(d, b, 42 + k, epochs=epochs, lr_rule=rule, precision=precision))
        for _, d, b, rule, epochs in sorted(cells)
        for k in range(SEEDS)
    ]
