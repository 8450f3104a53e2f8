"""From a finished search to the answer: what was learned, how sure it is, and the reasons in words."""

import math

import pandas as pd

from ..statistics import Interval
from . import algorithm_2
from .answer import TRIALS, Answer, how_many
from .bench import LAST
from .learned import nothing_learned, round_up
from .search import Search
from .training import parts

NEAR = 1.25  # an epoch within a quarter of the fastest is as good as the fastest


def answer(search: Search, seconds: float, cpu_seconds: float) -> Answer:
    """The answer that a search leads to."""
    task, best, default = search.task, search.leader, search.default
    start = algorithm_2.start(len(task.train))
    rate = algorithm_2.rate(search.base_lr, start)
    common = {
        "unit": task.unit,
        "default": (default.batch_size, default.lr),
        "trials": _trials(search),
        "times": _times(search),
        "algorithm_2": f"the paper's procedure would start from B = {start} at {rate:.3g} "
        "(`bbatch recommend --algorithm-2`)",
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
    }
    if nothing := nothing_learned(search):
        why, following = nothing
        common |= {"difference": None, "reasons": (why, *task.notes), "following": following}
        return Answer(None, None, 0, 1, "", **common)
    scheduled = task.optimizer_of(task.model(0), search.base_lr, 2)[1] is not None  # it warms up by itself
    warmup = 0 if scheduled else search.warmup(best.batch_size)
    common |= {"difference": search.difference, "reasons": _reasons(search), "following": _following(search)}
    return Answer(best.batch_size, best.lr, warmup, parts(task, best.batch_size)[1], _sure(search), **common)


def _trials(search: Search) -> pd.DataFrame:
    rows = []
    for c in search.candidates:
        last = c.judged[max(c.judged)] if c.judged else None
        row = {name: getattr(c, name) for name in TRIALS if hasattr(c, name)}
        row |= {"warmup_epochs": search.warmup(c.batch_size), "complete": LAST in c.judged}
        row |= {"short_loss": c.judged[0].loss if 0 in c.judged else math.nan}
        row |= {"loss": last.loss if last else math.nan, "value": last.value if last else math.nan}
        rows.append(row)
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
    """A finite difference, of a loss and of a reader's metric with three digits."""
    if unit.startswith("%"):
        return f"{difference.text(1, sign='+')} points of accuracy"
    digits = max(2, 2 - math.floor(math.log10(abs(difference.mean)))) if difference.mean else 2
    if unit == "loss":
        return f"a loss lower by {difference.text(digits)}"
    return f"{difference.text(digits, sign='+')} {unit}"


def _reasons(search: Search) -> tuple[str, ...]:
    """What was tried, how it stands against the default, time and memory; then what limits all of it."""
    reasons = [_tried(search), *_against_the_default(search), _time(search)]
    if fits := search.task.fits:
        reasons.append(f"Memory holds {fits} rows at a time while training; {2 * fits} failed.")
    if search.cut:
        reasons.append(f"The search was cut short by the budget; not tried: {', '.join(search.cut[:3])}.")
    if search.length < search.epochs:
        reasons.append(f"The budget allowed trainings of {search.length:.2g} of {search.epochs} epochs.")
    return (*reasons, *search.task.notes)


def _tried(search: Search) -> str:
    """What the answer was chosen from, and how good it is."""
    task, best = search.task, search.leader
    judged, epochs = best.at(search.decided), f"{search.length:.3g} epochs"
    value = f"{task.unit} {judged.value:.3g}" if task.metric else f"loss {judged.loss:.3g}"
    if task.unit.startswith("%"):
        value = f"{judged.value:.1f} {task.unit}"
    mine = [c for c in search.candidates if c.epochs and c.seed == search.seed]
    sizes, rates = sorted({c.batch_size for c in mine}), sorted({c.lr for c in mine})
    tried = f"B {sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else f"all at B = {sizes[0]}"
    rates = f"rates {rates[0]:.2g} to {rates[-1]:.2g}" if len(rates) > 1 else f"rate {rates[0]:.2g}"
    if best is search.default:
        first = f"B = {best.batch_size} at {best.lr:.3g}, the default, gives {value} after {epochs}"
        if len(mine) < 2:
            return f"{first}; there was no time for another pair."
        others = how_many(len(mine) - 1, "other pair")
        return f"{first}; of {others} tried ({tried}) none was shown to do better."
    return (
        f"Of {len(mine)} pairs tried ({tried}, {rates}), "
        f"{len(search.ranked(search.decided))} for {epochs}, it did best: {value} on the validation rows."
    )


def _against_the_default(search: Search) -> list[str]:
    difference, default = search.difference, search.default
    if difference is None:
        return []
    against = search.lost or search.leader
    pair = f"{against.batch_size} at {against.lr:.3g}"
    if math.isinf(difference.mean):
        told = "the default diverged" if difference.mean > 0 else f"{pair} diverged"
    else:
        told = _amount(difference, search.task.unit)
    who = "Against" if search.lost is None else f"B = {pair} was dropped: against"
    seeds = how_many(search.duels, "other seed") if search.duels else "the same seed"
    # better by less than its error, and slower, or met with no other seed
    short = ", which is too little to tell" if search.lost and difference.mean >= 0 else ""
    return [f"{who} the default, B = {default.batch_size} at {default.lr:.3g}: {told}, with {seeds}{short}."]


def _time(search: Search) -> str:
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
        whole = search.takes(search.reference, search.epochs)
        more = max(round_up(7 * whole), round_up(1.5 * (search.deadline - search.begun)))
        return f"for a surer answer give a budget of about {more} s."
    if search.difference is not None and search.duels < 2:
        return "train with it; a second seed on your side tells whether the gain is more than luck."
    return f"train with it; for trainings much longer than {search.epochs} epochs try {best.lr / 3:.2g} too."
