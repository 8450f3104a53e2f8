"""What `recommend` gives back: one answer, how sure it is, why, and what to do next; in plain English."""

import math
from dataclasses import asdict, dataclass, fields, is_dataclass
from html import escape

import pandas as pd

from .judging import Lead

# Columns of `Answer.trials`.
TRIALS = (
    "batch_size lr warmup_epochs seed epochs short_loss loss value seconds cpu_seconds complete diverged"
).split()


def how_many(n: int, what: str) -> str:
    """A number of things: "1 seed", "2 seeds"."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def rate_in_words(lr: float, warmup_epochs: float) -> str:
    warm = f", warm-up over {how_many(warmup_epochs, 'epoch')}" if warmup_epochs else ""
    return f"learning rate {lr:.3g}{warm}"


def because(reasons: tuple[str, ...]) -> list[tuple[str, str]]:
    """A line for each reason, the first one named."""
    return [("" if k else "because", reason) for k, reason in enumerate(reasons)]


class Told:
    """A result that says itself as text, HTML and plain values. `rows`: its lines, a name and a text."""

    def rows(self) -> list[tuple[str, str]]:
        raise NotImplementedError

    def table(self) -> pd.DataFrame | None:
        """What was measured, in a few lines, where there is something to lay out."""
        return None

    def __repr__(self) -> str:
        text = "\n".join(f"{name:<12} {text}" for name, text in self.rows())
        table = self.table()
        return text if table is None else f"{text}\n\n{table.to_string(index=False)}"

    def _repr_html_(self) -> str:
        body = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in self.rows()
        )
        table = self.table()
        more = "" if table is None else table.to_html(index=False, border=0)
        return f"<table>{body}</table>{more}"

    def to_dict(self) -> dict:
        """Plain values, for JSON: tables as lists of rows, the rest by name; what is not finite is None."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}


@dataclass(frozen=True, eq=False, repr=False)
class Answer(Told):
    """One batch size and learning rate; or none, where nothing was learned (`batch_size` is None).

    warmup_epochs   over which the rate climbs linearly, step by step
    accumulate      parts that a batch is cut into, their gradients added up, where memory does not hold it
                    whole
    sure            "high", "medium" or "low"
    difference      answer less default in `unit`, the higher the better, on the validation rows
    default         (batch size, rate) that it was compared with
    reasons, following   why, and what to do next
    trials          a row a training, columns `TRIALS`: on the validation rows the loss after the short
                    training that all began with, then loss and value (in `unit`) where it ended; seconds
                    elapsed and of the processor
    times           batch_size, seconds_per_epoch
    algorithm_2     what the paper's procedure starts from, for comparison
    seconds, cpu_seconds    what all of it took; the former without what PyTorch loads at its first step
    """

    batch_size: int | None
    lr: float | None
    warmup_epochs: int
    accumulate: int
    sure: str
    unit: str
    difference: Lead | None
    default: tuple[int, float]
    reasons: tuple[str, ...]
    following: str
    trials: pd.DataFrame
    times: pd.DataFrame
    algorithm_2: str
    seconds: float
    cpu_seconds: float

    @property
    def headline(self) -> str:
        if self.batch_size is None:
            return f"no recommendation: {self.reasons[0]}"
        size = f"batch size {self.batch_size}"
        if self.accumulate > 1:
            size += f" ({math.ceil(self.batch_size / self.accumulate)} fits: accumulate {self.accumulate})"
        return f"{size}, {rate_in_words(self.lr, self.warmup_epochs)}"

    def rows(self) -> list[tuple[str, str]]:
        """The answer as a short table: name and text."""
        answered = self.batch_size is not None
        why = self.reasons if answered else self.reasons[1:]  # its first reason is the answer itself
        return [
            ("answer", self.headline),
            *([("how sure", self.sure)] if answered else []),
            *because(why),
            ("next", self.following),
            ("Algorithm 2", self.algorithm_2),
            ("took", f"{self.seconds:.0f} s, {how_many(len(self.trials), 'training')}"),
        ]

    def table(self) -> pd.DataFrame | None:
        """The best training of each batch size: that of the least loss, whole trainings before others."""
        first = self.trials[self.trials["seed"] == self.trials["seed"].min()].dropna(subset="loss")
        if first.empty:
            return None
        rows = first.sort_values(["complete", "loss"], ascending=[False, True]).drop_duplicates("batch_size")
        times = self.times.set_index("batch_size")["seconds_per_epoch"].reindex(rows["batch_size"])
        shown = {
            "B": rows["batch_size"],
            "best rate": rows["lr"].map("{:.3g}".format),
            "epochs": rows["epochs"].map("{:.3g}".format),
            "validation loss": rows["loss"].map("{:.3g}".format),
            "epoch, s": [f"{s:.2g}" if math.isfinite(s) else "-" for s in times],
        }
        return pd.DataFrame(shown).sort_values("B")


def _plain(value):
    if isinstance(value, pd.DataFrame):
        return _plain(value.to_dict(orient="records"))
    if is_dataclass(value):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def restored(values: dict) -> Answer:
    """An answer from what its `to_dict` gave."""
    return Answer(
        **values
        | {
            "trials": pd.DataFrame(values["trials"], columns=TRIALS),
            "times": pd.DataFrame(values["times"]),
            "reasons": tuple(values["reasons"]),
            "default": tuple(values["default"]),
            "difference": Lead(**values["difference"]) if values["difference"] else None,
        }
    )
