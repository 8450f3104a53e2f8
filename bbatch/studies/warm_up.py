"""Warm-up on the synthetic sets, where the paper uses none: MNIST's five epochs of it, on and off."""

from ..config import DATASETS, SYNTHETIC, plan
from .trial import Trial

EPOCHS = DATASETS["mnist"].protocol.warmup_epochs
SIZES = (256, 512, 1024, 4096)  # where Section II-C asks for a warm-up, and beyond the paper's grid
SEEDS = 10


def warm_up_trials(precision: str = "fp32") -> list[Trial]:
    """Linear rule, every size that the training set can fill, warm-up on and off."""
    return [
        Trial(plan(d, b, 42 + k, precision=precision, warmup_epochs=warm))
        for d in SYNTHETIC
        for b in SIZES
        if b <= DATASETS[d].n_train
        for warm in (0, EPOCHS)
        for k in range(SEEDS)
    ]
