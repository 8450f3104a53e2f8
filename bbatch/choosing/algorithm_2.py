"""The steps of the paper's Algorithm 2 (Section VI); `selecting` follows them for the reader's own model.

Its constants are the paper's, read from `published`. Where the printed steps contradict each other or lead
nowhere, this is what is done; the book lists the same points under "Resolved ambiguities":

* A branch gives two batch sizes and an interval of rates; then line 9 sets the rate by Eq. (2). We start from
  the member of the pair nearest to the default of 32: it alone agrees with "start at B = 32" as far as the
  branch lets it, and with it the rate of line 9 falls into the printed interval in every branch. The interval
  itself is not used.
* Warm-up "if B >= 256" stands in a branch whose B is at most 128. It is applied in every branch, where
  doubling has led there; for the five epochs of Table II, or half of the training where that is less.
* Halving (too large a gap) and doubling (too long a time) may both apply, and may undo each other for ever.
  The gap goes first; no batch size is tried twice; where the next one was tried before, the procedure ends.
* "Retrain" ends the printed procedure after one change. We go back to line 10 until no rule applies.
* "Accuracy acceptable" is the caller's to say; else within one point of the best trial so far, the paper's
  own tolerance.
* Nothing is said for a model whose gap stays above the limit down to B = 1, or which diverges. Divergence
  counts as too large a gap, since halving B halves the rate; where no trial keeps the limit, the one with the
  best validation score wins.
* The c of the upper bound c * sqrt(N) is not given: it is taken from Table VI. For small N the bound lies
  below the branch's own batch sizes; it goes first.
* The gap is measured on validation data. Test data decides nothing.
"""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from .. import published
from ..config import DATASETS
from .training import Fit


def branch(n: int) -> tuple[tuple[int, int], tuple[float, float]]:
    """The pair of batch sizes and the interval of learning rates that lines 1 to 6 give for N = n."""
    size = next((s for s in ("small", "medium") if n < published.value(f"vi-{s}-n")), "large")
    table = published.statements("VI").set_index("id")
    (b0, b1), rates = (tuple(table.loc[f"vi-{size}-{what}", ["value", "upper"]]) for what in ("batch", "lr"))
    return (int(b0), int(b1)), rates


def bound(n: int) -> float:
    """The upper bound c * sqrt(n); c is the geometric mean of B* / sqrt(N) over Table VI, with N in training
    samples, as n is: the paper does not say which ("Resolved ambiguities")."""
    table = published.critical()
    roots = np.sqrt([DATASETS[name].n_train for name in table["dataset"]])
    return float(np.exp(np.log(table["critical_batch_size"] / roots).mean()) * math.sqrt(n))


def start(n: int) -> int:
    """The batch size to start from: the branch's member nearest to the default, within the bound."""
    b = min(branch(n)[0], key=lambda member: abs(member - published.value("vi-default-batch")))
    while b > bound(n):
        b //= 2
    return b


def starts(sizes) -> pd.DataFrame:
    """Where Algorithm 2 starts for each N of `sizes`, and how far it may go: a row each."""

    def row(n: int) -> dict:
        pair, rates = branch(n)
        b, top = start(n), 2 ** int(math.log2(bound(n)))
        return {
            "N": n,
            "printed B": f"{pair[0]} or {pair[1]}",
            "printed rate": f"{rates[0]:g} to {rates[1]:g}",
            "c√N": round(bound(n)),
            "starts at B": b,
            "with rate": rate(published.value("vi-default-lr"), b),
            "largest B": top,
            "warm-up in reach": "yes" if top >= published.value("vi-warmup-from") else "no",
        }

    return pd.DataFrame(map(row, sizes))


def rate(base_lr: float, batch_size: int) -> float:
    """Line 9, Eq. (2): the rate proportional to the batch size."""
    return base_lr * batch_size / published.value("vi-base-batch")


def warmup(batch_size: int, epochs: int) -> int:
    """Epochs of warm-up at a batch size: Table II's five from 256 on, at most half of the training."""
    wanted = batch_size >= published.value("vi-warmup-from")
    return min(DATASETS["mnist"].protocol.warmup_epochs, epochs // 2) if wanted else 0


def follow(
    train: Callable[[int], Fit],
    n: int,
    *,
    seconds_per_training: float = math.inf,
    acceptable: float | None = None,
    smallest: int = 1,
) -> tuple[Fit, list[tuple[Fit, str]]]:
    """Algorithm 2 with `train(batch_size)` as line 10: the chosen trial, and all trials with decisions."""
    limit, tolerance = published.value("vi-gap-limit"), published.value("iv-g-critical-drop")
    b, doubled, trials, sound = max(start(n), smallest), False, [], []
    while True:
        f = train(b)
        best = max((t.validation_score for t, _ in trials if not t.diverged), default=-math.inf)
        good = f.validation_score >= (best - tolerance if acceptable is None else acceptable)
        too_wide = f.diverged or f.gap > limit
        if f.complete and not too_wide and (good or not doubled):
            sound.append(f)
        gap = "diverged" if f.diverged else f"gap {f.gap:.1f} above {limit:g} points"
        slow = f"{f.seconds:.3g} s above {seconds_per_training:g} s"
        following = None
        if not f.complete:
            decision = "cut short by the budget"
        elif too_wide:
            following, reason, decision = b // 2, gap, f"{gap}: halved"
        elif f.seconds <= seconds_per_training:
            decision = "kept: the gap is within the limit and the time too"
        elif good:
            following, reason, decision = 2 * b, slow, f"{slow}: doubled"
        else:
            decision = f"{slow}, but accuracy not acceptable: the end"
        if following is not None and (why := _barred(following, [t for t, _ in trials] + [f], n, smallest)):
            following, decision = None, f"{reason}, but B = {following} {why}: the end"
        trials.append((f, decision))
        if following is None:
            break
        b, doubled = following, following > b
    if sound:
        return sound[-1], trials
    # A trial that was cut short decides nothing, unless all others diverged.
    worth = [(not t.diverged, t.complete, t.validation_score, t.batch_size) for t, _ in trials]
    return trials[worth.index(max(worth))][0], trials


def _barred(b: int, trials: list[Fit], n: int, smallest: int) -> str:
    """Why a batch size cannot be tried next; empty where it can."""
    if b in {t.batch_size for t in trials}:
        return "was tried before"
    if b > trials[-1].batch_size and b > bound(n):
        return f"exceeds the bound c√N = {bound(n):.0f}"
    return "is too small to train" if b < smallest else ""
