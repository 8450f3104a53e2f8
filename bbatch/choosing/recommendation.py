"""What both ways to choose a batch size give back, and what both ask of their arguments."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, is_dataclass
from html import escape

import pandas as pd

from ..errors import BadInput, whole
from .fitting import Fit, step_seconds
from .task import Task

TRIALS = [
    "batch_size",
    "lr",
    "warmup_epochs",
    "epochs",
    "train_score",
    "validation_score",
    "gap",
    "validation_loss",
    "seconds",
    "cpu_seconds",
    "complete",
    "diverged",
    "seed",
    "decision",
]


@dataclass(frozen=True, eq=False, repr=False)
class Recommendation:
    """A batch size and a learning rate with the reasons, and every training that led there.

    `trials`: a row a training, columns `TRIALS`; scores in percent, seconds of the training steps. `seconds` and
    `cpu_seconds`: what the whole selection took, elapsed and of the processor.
    """

    method: str
    batch_size: int
    lr: float
    warmup_epochs: int
    reasons: tuple[str, ...]
    trials: pd.DataFrame
    seconds: float
    cpu_seconds: float

    @property
    def headline(self) -> str:
        warm = f", warm-up over {self.warmup_epochs} epochs" if self.warmup_epochs else ""
        return f"{self.method}: batch size {self.batch_size}, learning rate {self.lr:.3g}{warm}"

    def __repr__(self) -> str:
        took = f"{len(self.trials)} training{'s' * (len(self.trials) > 1)}, {self.seconds:.0f} s"
        return "\n".join([f"{self.headline} ({took})", *(f"  - {reason}" for reason in self.reasons)])

    def _repr_html_(self) -> str:
        reasons = "".join(f"<li>{escape(reason)}</li>" for reason in self.reasons)
        return f"<p><b>{escape(self.headline)}</b></p><ul>{reasons}</ul>"

    def to_dict(self) -> dict:
        """Plain values, for JSON: tables as lists of rows, the rest by name."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}


def _plain(value):
    if isinstance(value, pd.DataFrame):
        return value.to_dict(orient="records")
    if is_dataclass(value):
        return asdict(value)
    return list(value) if isinstance(value, tuple) else value


def frame(fits: list[Fit], decisions: list[str]) -> pd.DataFrame:
    """The trials as a table, a row a training, columns `TRIALS`."""
    return pd.DataFrame(
        [vars(f) | {"gap": f.gap, "decision": why} for f, why in zip(fits, decisions)], columns=TRIALS
    )


def check_limits(epochs, budget, seed, positive: dict) -> None:
    """Raise `BadInput` for a number of epochs, a budget, a seed, or one of `positive` (None allowed) that cannot be."""
    whole("number of epochs", epochs, 1)
    whole("seed", seed, 0, 2**32 - 1)
    for what, value in ({"budget": budget} | {k: v for k, v in positive.items() if v is not None}).items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise BadInput(f"{what} is {value!r}; it must be a finite number above 0.")


def one_epoch(task: Task, batch_size: int, budget: float) -> float:
    """Seconds that an epoch takes at a batch size. Raises `BadInput` where that is more than the budget."""
    seconds = step_seconds(task, batch_size) * math.ceil(len(task.train) / batch_size)
    if seconds > budget:
        raise BadInput(
            f"a budget of {budget:g} s is too small for one epoch, which takes about {seconds:.2g} s here "
            f"at B = {batch_size}."
        )
    return seconds
