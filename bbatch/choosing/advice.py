"""From a finished search to the answer: what was learned, how sure it is, and the reasons in words."""

from __future__ import annotations

import math

import pandas as pd

from ..statistics import Interval
from . import algorithm_2
from .answer import TRIALS, Answer
from .bench import LAST
from .learned import nothing_learned, round_up
from .memory_limit import Ceiling
from .search import Search
from .training import parts

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
    if why := nothing_learned(search):
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
    judged, length = best.at(search.decided), search.length
    value = (
        f"{judged.value:.1f} {task.unit}"
        if task.accuracy and task.metric is None
        else f"loss {judged.loss:.3g}"
    )
    if task.metric is not None:
        value = f"{task.unit} {judged.value:.3g}"
    sizes, rates = sorted({c.batch_size for c in mine}), sorted(c.lr for c in mine)
    far = len(search.ranked(search.decided))
    if best is default:
        first = (
            f"B = {best.batch_size} at {best.lr:.3g}, the default, gives {value} after {length:.3g} epochs; "
            f"none of the {len(mine) - 1} other pairs tried (B {sizes[0]} to {sizes[-1]}) was shown to do "
            "better."
        )
    else:
        first = (
            f"Of {len(mine)} pairs tried (B {sizes[0]} to {sizes[-1]}, rates {rates[0]:.2g} to "
            f"{rates[-1]:.2g}), {far} for {length:.3g} epochs, it did best: {value} on "
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
        more = max(round_up(7 * whole), round_up(1.5 * (search.deadline - search.begun)))
        return f"for a surer answer give a budget of about {more} s."
    if search.difference is not None and search.duels < 2:
        return "train with it; a second seed on your side tells whether the gain is more than luck."
    return f"train with it; for trainings much longer than {search.epochs} epochs try {best.lr / 3:.2g} too."
