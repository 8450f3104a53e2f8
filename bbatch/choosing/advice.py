"""From a finished search to the answer: what was learned, how sure it is, and the reasons in words."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from ..adapter import FAILURES, cut
from ..statistics import Interval
from . import algorithm_2
from .answer import TRIALS, Answer
from .memory_limit import Ceiling
from .search import LAST, Search
from .task import Task
from .training import Judged, parts

NEAR = 1.25  # an epoch within a quarter of the fastest is as good as the fastest


def answer(search: Search, ceiling: Ceiling, seconds: float, cpu_seconds: float) -> Answer:
    """The answer that a search leads to."""
    task, best, default = search.task, search.leader, search.default
    trials, times = _trials(search), _times(search)
    n = len(task.train)
    start = algorithm_2.start(n)
    line = (
        f"the paper's procedure would start from B = {start} at "
        f"{algorithm_2.rate(search.base_lr, start):.3g} (`bbatch recommend --algorithm-2`)"
    )
    common = {
        "unit": task.unit,
        "default": (default.batch_size, default.lr),
        "trials": trials,
        "times": times,
        "algorithm_2": line,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
    }
    if why := _nothing_learned(search):
        return Answer(
            None, None, 0, 1, "", difference=None, reasons=(why[0], *task.notes), following=why[1], **common
        )
    return Answer(
        best.batch_size,
        best.lr,
        0 if _scheduled(search) else search.warmup(best.batch_size),
        parts(task, best.batch_size)[1],
        _sure(search),
        difference=search.difference,
        reasons=_reasons(search, ceiling),
        following=_following(search),
        **common,
    )


def _scheduled(search: Search) -> bool:
    model = search.task.model(0)
    return search.task.optimizer_of(model, search.base_lr, 2)[1] is not None


def _trials(search: Search) -> pd.DataFrame:
    rows = []
    for c in search.candidates:
        last = c.judged[max(c.judged)] if c.judged else None
        rows.append(
            {
                "batch_size": c.batch_size,
                "lr": c.lr,
                "warmup_epochs": search.warmup(c.batch_size),
                "seed": c.seed,
                "epochs": c.epochs,
                "short_loss": c.judged[0].loss if 0 in c.judged else math.nan,
                "loss": last.loss if last else math.nan,
                "value": last.value if last else math.nan,
                "seconds": c.seconds,
                "cpu_seconds": c.cpu_seconds,
                "complete": LAST in c.judged,
                "diverged": c.diverged,
            }
        )
    return pd.DataFrame([r for r in rows if r["seconds"]], columns=TRIALS)


def _times(search: Search) -> pd.DataFrame:
    pairs = sorted(search.quickest.items())
    return pd.DataFrame({"batch_size": [b for b, _ in pairs], "seconds_per_epoch": [s for _, s in pairs]})


def _nothing_learned(search: Search) -> tuple[str, str] | None:
    """Why there is no recommendation, and what to do; None where there is one."""
    task, best = search.task, search.leader
    begun = [c for c in search.candidates if c.epochs]
    if begun and all(c.diverged for c in begun):
        lowest = min(c.lr for c in begun)
        return (
            f"all {len(begun)} trainings diverged, at rates down to {lowest:.2g}",
            "look at a single training step: the loss, its gradients, the scale of the inputs.",
        )
    if best is None:
        whole = search.whole_default(search.epochs)
        return (
            f"no time: one training of the {search.epochs} epochs takes about {_round_up(whole)} s",
            f"give a budget of {_round_up(7 * whole)} s or more, fewer epochs, or fewer rows.",
        )
    judged = best.at(LAST)
    constant, majority = nothing(task, search.judged_rows)
    if task.accuracy and task.metric is None and majority is not None:
        rows = search.judged_rows
        share = majority / 100
        chance = 100 * math.sqrt(max(share * (1 - share), 1 / rows) / rows)
        above = judged.value > majority + chance
        if not above and not (constant is not None and judged.loss < constant - _scatter(judged)):
            why = (
                f"nothing was learned: the best accuracy, {judged.value:.1f} %, is that of always answering "
                f"the largest class ({majority:.1f} %)"
            )
            return (
                why,
                "look at the data and the model before the batch size; or weigh the classes, or give a "
                "metric.",
            )
        if not above:
            task.notes.append(
                f"The accuracy, {judged.value:.1f} %, is no more than the largest class's share: only the "
                "loss shows that something was learned."
            )
        return None
    bar = constant if constant is not None else search.untrained.loss
    if task.metric is None and not judged.loss < bar:
        what = "always answering the same" if constant is not None else "the model as it was given"
        return (
            f"nothing was learned: the best loss, {judged.loss:.3g}, is no better than that of {what} "
            f"({bar:.3g})",
            "look at the data and the model before the batch size.",
        )
    return None


def _scatter(judged: Judged) -> float:
    return float(np.std(judged.losses) / math.sqrt(len(judged.losses)))


def nothing(task: Task, most: int) -> tuple[float | None, float | None]:
    """What validation gives to a model that answers the same for every row: (loss, share of the largest class
    in percent); None for what cannot be told. The constant is fitted to the validation rows themselves: a
    high bar."""
    if task.adapter.general:
        return None, None
    targets = [cut(batch)[1] for batch, _ in task.validation.batches(128, most=most)]
    if not all(isinstance(t, torch.Tensor) for t in targets):
        return None, None
    y, shape = torch.cat(targets), task._first.scores.shape if task._first.scores is not None else ()
    if task.accuracy:
        counts = torch.bincount(y.clamp_min(0), minlength=shape[1]).float()
        shares = counts / counts.sum()
        logits = shares.clamp_min(1e-30).log().expand(len(y), -1)
        loss = _try(task.adapter.loss or torch.nn.functional.cross_entropy, [logits], y)
        return loss, 100 * shares.max().item()
    if not y.is_floating_point():
        return None, None
    mean = y.mean(0, keepdim=True)
    guesses = [mean.expand_as(y)]
    if y.min() >= 0 and y.max() <= 1:
        guesses.append(mean.clamp(1e-6, 1 - 1e-6).logit().expand_as(y))
    return _try(task.adapter.loss, guesses, y), None


def _try(loss: Callable | None, guesses: list[torch.Tensor], y: torch.Tensor) -> float | None:
    found = []
    for guess in guesses:
        try:
            found.append(float(loss(guess, y)))
        except FAILURES:
            continue
    found = [v for v in found if math.isfinite(v)]
    return min(found, default=None)


def _sure(search: Search) -> str:
    """How sure, in a word: by what the answer was tried against, at what length, with how many seeds."""
    full = [c for c in search.ranked(LAST) if c is not search.default]
    if search.length < search.epochs / 2 or not full:
        return "low"
    if search.leader is search.default:
        return "medium" if len(full) < 3 or search.length < search.epochs else "high"
    if search.duels and search.length >= search.epochs:
        certain = search.difference.low > 0 or search.difference.mean == math.inf
        return "high" if certain and search.duels > 1 else "medium"
    return "low"


def _amount(difference: Interval, unit: str) -> str:
    digits = (
        1 if unit.startswith("%") else max(2, 2 - math.floor(math.log10(max(abs(difference.mean), 1e-9))))
    )
    if unit == "loss":
        return f"a loss lower by {difference.text(digits)}"
    if unit.startswith("%"):
        return f"{difference.text(digits, sign='+')} points of accuracy"
    return f"{difference.text(digits, sign='+')} {unit}"


def _reasons(search: Search, ceiling: Ceiling) -> tuple[str, ...]:
    """Two or three: what was tried, against the default, time or memory; then what limits all of it."""
    task, best, default = search.task, search.leader, search.default
    mine = [c for c in search.candidates if c.epochs and c.seed == search.seed]
    judged, length = best.at(LAST), search.length
    value = (
        f"{judged.value:.1f} {task.unit}"
        if task.accuracy and task.metric is None
        else f"loss {judged.loss:.3g}"
    )
    if task.metric is not None:
        value = f"{task.unit} {judged.value:.3g}"
    sizes, rates = sorted({c.batch_size for c in mine}), sorted(c.lr for c in mine)
    if best is default:
        first = (
            f"B = {best.batch_size} at {best.lr:.3g}, the default, gives {value} after {length:.3g} epochs; "
            f"none of the {len(mine) - 1} other pairs tried (B {sizes[0]} to {sizes[-1]}) was shown to do "
            "better."
        )
    else:
        first = (
            f"Of {len(mine)} pairs tried (B {sizes[0]} to {sizes[-1]}, rates {rates[0]:.2g} to "
            f"{rates[-1]:.2g}), {len(search.ranked(LAST))} for {length:.3g} epochs, it did best: {value} on "
            "the validation rows."
        )
    reasons = [first]
    if search.difference is not None:
        seeds = (
            f"{search.duels} other seed{'' if search.duels == 1 else 's'}"
            if search.duels
            else "the same seed"
        )
        against = search.lost or best
        told = (
            "the default diverged"
            if search.difference.mean == math.inf
            else f"{against.batch_size} at {against.lr:.3g} diverged"
            if search.difference.mean == -math.inf
            else _amount(search.difference, task.unit)
        )
        who = (
            "Against"
            if search.lost is None
            else f"B = {against.batch_size} at {against.lr:.3g} was dropped: against"
        )
        # better by less than its error, and slower, or met with no other seed
        short = ", which is too little to tell" if search.lost and search.difference.mean >= 0 else ""
        reasons.append(
            f"{who} the default, B = {default.batch_size} at {default.lr:.3g}: {told}, with {seeds}{short}."
        )
    reasons.append(_time_reason(search))
    if ceiling.failed:
        reasons.append(f"Memory holds {ceiling.fits} rows at a time while training; {ceiling.failed} failed.")
    if search.cut:
        reasons.append(f"The search was cut short by the budget; not tried: {', '.join(search.cut[:3])}.")
    if length < search.epochs:
        reasons.append(f"The budget allowed trainings of {length:.2g} of {search.epochs} epochs.")
    return (*reasons, *task.notes)


def _time_reason(search: Search) -> str:
    best, base = search.speed(search.leader.batch_size), search.speed(search.reference)
    fastest = min(search.quickest, key=search.quickest.get)
    text = f"An epoch takes {best:.2g} s"
    if search.leader.batch_size != search.reference:
        text += f", against {base:.2g} s at B = {search.reference}"
    if best > NEAR * search.speed(fastest):
        text += f"; the fastest, B = {fastest}, takes {search.speed(fastest):.2g} s"
    return text + "."


def _following(search: Search) -> str:
    """What to do next."""
    best = search.leader
    if search.length < search.epochs or search.cut:
        whole = search.whole_default(search.epochs)
        more = max(_round_up(7 * whole), _round_up(1.5 * (search.deadline - search.begun)))
        return f"for a surer answer give a budget of about {more} s."
    if search.difference is not None and search.duels < 2:
        return "train with it; a second seed on your side tells whether the gain is more than luck."
    return f"train with it; for trainings much longer than {search.epochs} epochs try {best.lr / 3:.2g} too."


def _round_up(seconds: float) -> int:
    """Two digits, upwards; whole seconds."""
    scale = 10 ** max(0, math.floor(math.log10(max(seconds, 1))) - 1)
    return int(math.ceil(seconds / scale) * scale)
