"""Whether anything was learned in a search, and what to do where nothing was."""

import math
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from scipy import stats

from ..adapter import cut
from ..statistics import LEVEL
from .judging import Judged, lead_of, pieces
from .search import Search
from .task import Task

LOOK = "look at the data and the model before the batch size"


def nothing_learned(search: Search) -> tuple[str, str] | None:
    """Why there is no recommendation, and what to do; None where there is one. Where the loss alone speaks
    for one, the task's notes say so."""
    task, best = search.task, search.leader
    begun = [c for c in search.candidates if c.epochs]
    if begun and all(c.diverged for c in begun):
        why = f"all {len(begun)} trainings diverged, at rates down to {min(c.lr for c in begun):.2g}"
        return why, "look at a single training step: the loss, its gradients, the scale of the inputs."
    if best is None and search.default.diverged:
        lost = sum(c.diverged for c in begun)
        why = f"{lost} of {len(begun)} trainings diverged, that of the default among them"
        return why, "look at a single training step: the loss, its gradients, the scale of the inputs."
    scored = [j for c in begun for j in c.judged.values() if math.isfinite(j.loss)]
    if best is None and scored and not any(math.isfinite(j.value) for j in scored):
        return f"the metric is {scored[0].value} after training", "give a metric that is a finite number."
    if best is None:
        whole = search.takes(search.reference, search.epochs)
        one = f"one training of the {search.epochs} epochs takes about {round_up(whole)} s"
        why = f"no time: {one}, and a search some seven of them"
        return why, f"give a budget of {round_up(7 * whole)} s or more, fewer epochs, or fewer rows."
    if task.metric is not None:
        return None
    judged, rows = best.at(search.decided), search.judged_rows
    level = 1 - (1 - LEVEL) / len(search.ranked(search.decided))  # the best of so many may be so by luck
    constant, majority = nothing(task, rows)
    if task.accuracy and majority is not None:
        share = majority / 100
        spread = 100 * math.sqrt(max(share * (1 - share), 1 / rows) / rows)
        if judged.value - majority > stats.norm.ppf(level) * spread:
            return None
        score = f"{judged.value:.1f} %"
        if constant is None or not _lower(judged, constant, level):
            why = f"the best accuracy, {score}, is not clearly better than always answering the largest class"
            told = f"nothing was learned: {why} ({majority:.1f} %)"
            return told, f"{LOOK}; or weigh the classes, or give a metric."
        task.notes.append(
            f"The accuracy, {score}, is not clearly above the largest class's share ({majority:.1f} %): only "
            "the loss shows that something was learned."
        )
        return None
    bar = constant or search.untrained
    if not _lower(judged, bar, level):
        what = "always answering the same" if constant else "the model as it was given"
        why = f"the best loss, {judged.loss:.3g}, is not clearly better than that of {what} ({bar.loss:.3g})"
        return f"nothing was learned: {why}", f"{LOOK}."
    return None


def _lower(judged: Judged, bar: Judged, level: float) -> bool:
    """Whether a loss is lower than another on the same rows, by more than the scatter between pieces of them
    allows at a level."""
    mine, theirs = (replace(j, value=-j.loss, values=-j.losses) for j in (judged, bar))
    lead = lead_of([mine], [theirs])
    return lead.mean > stats.t.ppf(level, max(1, len(judged.losses) - 1)) * lead.error


def nothing(task: Task, most: int) -> tuple[Judged | None, float | None]:
    """What validation gives to a model that answers the same for every row, and the share of the largest
    class in percent; None for what cannot be told. The constant is fitted to the validation rows themselves:
    a high bar."""
    if task.adapter.general:
        return None, None
    targets, shares = zip(
        *((cut(batch)[1], share) for batch, share in pieces(task, task.validation, most)), strict=True
    )
    if not all(isinstance(t, torch.Tensor) for t in targets):
        return None, None
    y, majority = torch.cat(targets), None
    if task.accuracy:
        counts = torch.bincount(y.clamp_min(0), minlength=task.first.scores.shape[1]).float()
        majority = 100 * (counts.max() / counts.sum()).item()
        guesses = [(counts / counts.sum()).clamp_min(1e-30).log()]
    elif y.is_floating_point():
        guesses = [y.mean(0)]
        if y.min() >= 0 and y.max() <= 1:
            guesses.append(y.mean(0).clamp(1e-6, 1 - 1e-6).logit())
    else:
        return None, None
    loss = task.adapter.loss or torch.nn.functional.cross_entropy
    found = [_constant(loss, guess, targets, np.array(shares)) for guess in guesses]
    return min(filter(None, found), key=lambda j: j.loss, default=None), majority


def _constant(loss: Callable, guess: torch.Tensor, targets, shares: np.ndarray) -> Judged | None:
    """The same outputs for every row, judged; None where the loss wants another kind of outputs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            losses = np.array([float(loss(guess.expand(len(t), *guess.shape), t)) for t in targets])
        except Exception:  # noqa: BLE001 - whatever the reader's loss raises
            return None
    mean = float(losses @ shares)
    return Judged(mean, -mean, losses, -losses, shares) if math.isfinite(mean) else None


def round_up(seconds: float) -> int:
    """Two digits, upwards; whole seconds."""
    scale = 10 ** max(0, math.floor(math.log10(max(seconds, 1))) - 1)
    return int(math.ceil(seconds / scale) * scale)
