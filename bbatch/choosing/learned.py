"""Whether anything was learned in a search, and what to do where nothing was."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

from ..adapter import cut
from ..nests import FAILURES
from .search import Search
from .task import Task

LOOK = "look at the data and the model before the batch size"


def nothing_learned(search: Search) -> tuple[str, str] | None:
    """Why there is no recommendation, and what to do; None where there is one."""
    task, best = search.task, search.leader
    begun = [c for c in search.candidates if c.epochs]
    if begun and all(c.diverged for c in begun):
        why = f"all {len(begun)} trainings diverged, at rates down to {min(c.lr for c in begun):.2g}"
        return why, "look at a single training step: the loss, its gradients, the scale of the inputs."
    if best is None:
        whole = search.whole_default(search.epochs)
        why = f"no time: one training of the {search.epochs} epochs takes about {round_up(whole)} s"
        return why, f"give a budget of {round_up(7 * whole)} s or more, fewer epochs, or fewer rows."
    if task.metric is not None:
        return None
    judged, rows = best.at(search.decided), search.judged_rows
    constant, majority = nothing(task, rows)
    if task.accuracy and majority is not None:
        share = majority / 100
        above = judged.value - majority > 100 * math.sqrt(max(share * (1 - share), 1 / rows) / rows)
        scatter = float(np.std(judged.losses) / math.sqrt(len(judged.losses)))
        score = f"{judged.value:.1f} %"
        if not above and (constant is None or judged.loss >= constant - scatter):
            why = (
                f"nothing was learned: the best accuracy, {score}, is that of always answering the largest "
                f"class ({majority:.1f} %)"
            )
            return why, f"{LOOK}; or weigh the classes, or give a metric."
        if not above:
            task.notes.append(
                f"The accuracy, {score}, is no more than the largest class's share: only the loss shows that "
                "something was learned."
            )
        return None
    bar = search.untrained.loss if constant is None else constant
    if not judged.loss < bar:
        what = "the model as it was given" if constant is None else "always answering the same"
        why = f"the best loss, {judged.loss:.3g}, is no better than that of {what} ({bar:.3g})"
        return f"nothing was learned: {why}", f"{LOOK}."
    return None


def nothing(task: Task, most: int) -> tuple[float | None, float | None]:
    """What validation gives to a model that answers the same for every row: (loss, share of the largest class
    in percent); None for what cannot be told. The constant is fitted to the validation rows themselves: a
    high bar."""
    if task.adapter.general:
        return None, None
    targets = [cut(batch)[1] for batch, _ in task.validation.batches(128, most=most)]
    if not all(isinstance(t, torch.Tensor) for t in targets):
        return None, None
    y, shape = torch.cat(targets), task.first.scores.shape if task.first.scores is not None else ()
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


def round_up(seconds: float) -> int:
    """Two digits, upwards; whole seconds."""
    scale = 10 ** max(0, math.floor(math.log10(max(seconds, 1))) - 1)
    return int(math.ceil(seconds / scale) * scale)
