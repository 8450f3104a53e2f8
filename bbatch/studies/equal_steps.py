"""Equal steps: every batch size makes as many as B = 32 in the paper's 50 epochs (Hoffer et al. 2017).

`equal_steps_trials` follow the paper's protocol, under three rules, on all training samples. Beside the runs
of equal steps stand the same runs with equally many epochs, as in the paper, so that the share of the gap
that the steps close is a difference between runs of the same seeds.

`equal_steps_tuned_trials` take away the rule as well: at the batch sizes whose best rate still leaves a gap
after 50 epochs, rates are tried as on the map (`batch_and_rate`), with the same held-out samples and seeds.
"""

from dataclasses import replace

from ..config import DATASETS, LR_RULES, SYNTHETIC, Run, plan
from . import batch_and_rate
from .trial import Trial

SIZES = (32, 64, 128, 256, 512)
SEEDS = 10

# The full batch among them. Synthetic 50K would take a day: 50,000 epochs of its full batch a run.
TUNED_SIZES = {"synthetic-1k": (128, 512, 640), "synthetic-10k": (512, 2048, 6_400)}
TUNED_OCTAVES = (-3, 6)  # around the best rates of the map; more steps should lower them
TUNED_SEEDS = 10


def of_equal_steps(run: Run) -> Run:
    """The run with as many epochs as come nearest to the steps that B = 32 makes on its samples.

    Steps, not samples, are made equal: where a last, partial batch makes a step of its own, fewer epochs are
    needed than in proportion to B.
    """
    base = replace(run, batch_size=32)
    return replace(run, epochs=round(base.epochs * base.steps(0) / run.steps(0)))


def _batch_sizes(dataset: str) -> tuple[int, ...]:
    """The sizes tried; the full batch on Synthetic 1K alone: elsewhere its epochs take minutes."""
    return SIZES + ((DATASETS[dataset].n_train,) if dataset == "synthetic-1k" else ())


def equal_steps_trials(precision: str = "fp32") -> list[Trial]:
    """Three data sets, three rules, equal epochs and steps; cheap ones first. At B = 32 all are one run."""
    runs = [
        run
        for d in SYNTHETIC
        for b in _batch_sizes(d)
        for rule in (LR_RULES if b != 32 else ("linear",))
        for k in range(SEEDS)
        for of_epochs in [plan(d, b, 42 + k, lr_rule=rule, precision=precision)]
        for run in dict.fromkeys((of_epochs, of_equal_steps(of_epochs)))
    ]
    return [Trial(run) for run in sorted(runs, key=lambda r: r.n_train * r.epochs)]


def equal_steps_tuned_trials(precision: str = "fp32") -> list[Trial]:
    """Two data sets, their largest batches, a range of rates, equal steps; cheap ones first."""
    bottom, top = TUNED_OCTAVES
    found = [
        replace(trial, run=of_equal_steps(trial.run))
        for d, sizes in TUNED_SIZES.items()
        for trial in batch_and_rate.map_trials(d, precision)
        if trial.run.batch_size in sizes
        and trial.run.seed < 42 + TUNED_SEEDS
        and 2.0**bottom <= trial.run.base_lr / DATASETS[d].protocol.base_lr <= 2.0**top
    ]
    return sorted(found, key=lambda t: t.run.n_train * t.run.epochs)
