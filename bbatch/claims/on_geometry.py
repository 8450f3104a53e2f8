"""The paper's claims on sharpness, gradient noise, the critical batch size and Algorithm 2."""

from __future__ import annotations

from functools import partial

from .. import published
from ..analysis import algorithm_2_loss, critical_batch_size, printed
from ..analysis import noise_and_batch_size as noise
from ..analysis import sharpness_and_batch_size as sharp
from ..config import DATASETS, PUBLISHED, SYNTHETIC
from ..geometry.one_network import BALLS
from .claim import Put, Reading, one, says

TITLES = {"1K": "synthetic-1k", "10K": "synthetic-10k", "50K": "synthetic-50k"}
EQ3 = {  # readings of Eq. (3): which ball, whether its maximum was searched for or sampled, and on which loss
    f"{BALLS[ball]}, {how}, {split} loss": {"measure": f"sharpness_{ball}{drawn}", "split": split}
    for ball in ("l2", "linf", "filter", "relative")
    for how, drawn in (("searched", ""), ("random", "_random"))
    for split in ("train", "test")
}
NETWORKS = {
    "each B on the network it trained": {"measure": "gradient_variance", "at": "convergence"},
    "all B on one network": {"measure": "gradient_variance_one_network", "at": "convergence"},
    "all B on one network before training": {
        "measure": "gradient_variance_one_network",
        "at": "initialisation",
    },
}
UNSAID = (
    "The paper says neither of which data set and in which norm, nor whether the maximum was searched for "
    "or sampled, nor on which loss. Its two values and their ratio must come from one reading. The page on "
    "sharpness has measures beyond Eq. (3), too: the trace of the Hessian falls with B on all three "
    "synthetic sets."
)
PRINTED_RATIO = one(printed.stated_ratio)


def _eq3(asks, paper=()) -> Put:
    found = tuple(
        Reading(partial(asks, dataset=d, **how), "measures", f"{title}, {label}", f"{title}, {label}")
        for title, d in TITLES.items()
        for label, how in EQ3.items()
    )
    return Put(found, paper, words=UNSAID, shares="sharpness")


def _sharper(datasets, words: str, paper=PRINTED_RATIO) -> Put:
    asked = partial(sharp.sharpness_ratios, datasets=datasets)
    found = tuple(Reading(partial(asked, **how), "measures", label) for label, how in EQ3.items())
    return Put(found, paper, says(">", 1, "ratio"), words)


def _variance(of: str, id: str = "", relation: str = "") -> Put:
    found = tuple(
        Reading(
            partial(noise.variance_fit, dataset=d, of=of, **how),
            "measures",
            f"{spec.title}, {label}",
            f"{spec.title}, {label}",
        )
        for d, spec in ((d, DATASETS[d]) for d in PUBLISHED)
        for label, how in NETWORKS.items()
    )
    words = (
        "The paper says neither of which data set nor of which network. Slope and R² must come from one "
        "reading."
    )
    theirs = one(partial(printed.stated, id=id)) if id else ()
    put = says(relation, -1, "exponent") if relation else None
    return Put(found, theirs, put, words, "gradient variance")


def _by_filter() -> Put:
    """The ratio under the readings of Eq. (3) that a filter-normalized landscape could stand for."""
    found = tuple(
        Reading(partial(sharp.sharpness_ratio, dataset=d, small=32, large=512, **how), "measures", label)
        for title, d in TITLES.items()
        for reading, how in EQ3.items()
        if reading.startswith(BALLS["filter"])
        for label in [f"{title}, {reading}"]
    )
    words = (
        "Section IV-E takes the ratio from Eq. (3), a maximum over a ball, and not from a landscape. Both "
        "can be so if the ball is normalized by filter, as the landscape is: those readings are judged here."
    )
    return Put(found, PRINTED_RATIO, words=words)


def _without_sharpening() -> Put:
    """Large sets from B = 32 to 128, the largest batch size that Algorithm 2 gives them."""
    asked = partial(sharp.sharpness_ratios, datasets=("synthetic-50k", "mnist", "cifar10"), large=128)
    found = tuple(Reading(partial(asked, **how), "measures", label) for label, how in EQ3.items())
    words = (
        "What catastrophic is, the paper does not say; the one growth of sharpness that it prints is that "
        "of its headline. Put as: from B = 32 to 128, the largest batch size that Algorithm 2 gives to "
        "large sets, sharpness grows by less than that, on each set of more than the named size."
    )
    return Put(found, (), says("<", published.value("iv-e-sharpness-ratio"), "ratio", level=True), words)


RATIO = _eq3(partial(sharp.sharpness_ratio, small=32, large=512), PRINTED_RATIO)
SLOPE = _variance("exponent", "iv-f-variance-slope", "~")
FIT = _variance("r_squared", "iv-f-variance-r2")
SEVEN = (*SYNTHETIC, "mnist")
CONFIRMED = (
    "Put as: sharper at the large batch size than at B = 32, on each synthetic set and on MNIST. That "
    "sharper minima generalize worse is the other half of the hypothesis; the paper shows no experiment on "
    "it, and the falls of accuracy are judged as claims of their own."
)
SHARPNESS = {
    "abstract-sharpness-ratio": RATIO,
    "iv-e-sharpness-b32": _eq3(partial(sharp.sharpness_at, batch_size=32)),
    "iv-e-sharpness-b512": _eq3(partial(sharp.sharpness_at, batch_size=512)),
    "iv-e-sharpness-ratio": RATIO,
    "v-a-sharpness-ratio": RATIO,
    "vii-sharpness-ratio": RATIO,
    "vii-sharpness-method": _by_filter(),
    "v-c-large": _without_sharpening(),
    "abstract-sharp-large": _sharper(
        SEVEN,
        "Put as: the sharpness is larger at the large batch size than at B = 32, on each synthetic set and "
        "on MNIST.",
    ),
    "abstract-flat-small": _sharper(
        SEVEN,
        "Put as: sharper at the large batch size on the synthetic sets and on MNIST. That small batches "
        "generalize better is judged as the claim of Section I.",
    ),
    **{id: _sharper(SEVEN, CONFIRMED) for id in ("iv-e-confirmed", "v-a-confirmed", "vii-confirmed")},
    "iv-e-shapes": _sharper(
        SEVEN,
        "Put as: sharper at the large batch size than at B = 32 on each synthetic set and on MNIST. The "
        "shape of a surface has no number in the paper.",
    ),
    "v-a-agnostic": _sharper(
        PUBLISHED,
        "Put as: sharper at the large batch size with each network. The paper prints a sharpness of one "
        "network alone.",
        (),
    ),
    "iv-e-cifar10-memory": Put(
        words=(
            "What the authors' program held in memory is not known. Point by point, a landscape needs what "
            "one evaluation of the network needs."
        )
    ),
}
VARIANCE = {
    "abstract-variance-slope": SLOPE,
    "ii-b-variance-slope": SLOPE,
    "iv-f-variance-slope": _variance("exponent"),
    "iv-f-theory-slope": SLOPE,
    "vii-variance-slope": SLOPE,
    "iv-f-variance-r2": _variance("r_squared"),
    "abstract-variance-r2": FIT,
    "i-b-variance-r2": FIT,
    "v-b-variance-r2": FIT,
    "vii-variance-r2": FIT,
}
_CAUSE = Put(
    words=(
        "That noise and geometry both change with B does not show that one causes the other; an "
        "intervention on the noise alone would be needed. The law of its variance is an identity of sampling."
    )
)
MECHANISM = {"v-b-mechanism": _CAUSE, "vii-mechanism": _CAUSE}


def _exponent() -> Put:
    over = {"over all data sets": PUBLISHED, "over the synthetic sets": SYNTHETIC}
    ours = tuple(
        Reading(partial(critical_batch_size.exponent, datasets=names), label=label)
        for label, names in over.items()
    )
    theirs = tuple(
        Reading(partial(critical_batch_size.printed_exponent, datasets=names), label=label)
        for label, names in over.items()
    )
    defined = Reading(
        partial(critical_batch_size.exponent, datasets=PUBLISHED),
        label="by the definition from the printed accuracies",
    )
    return Put(ours, (*theirs, defined))


CRITICAL = {
    id: _exponent()
    for id in (
        "abstract-critical-exponent",
        "iv-g-critical-exponent",
        "vi-bound-exponent",
        "vii-critical-exponent",
    )
} | {
    "iv-g-literature": Put(
        words="Rests on works by others; the page on ambiguities says what one of them finds instead."
    )
}


def _branch(name: str) -> Put:
    words = (
        "Line 9 of Algorithm 2, from the default rate and base batch, must give rates in the range that "
        "its own branch prints."
    )
    return Put((), one(partial(printed.branch_rates, branch=name)), words=words)


ALGORITHM = {
    "vi-algorithm": Put(
        one(algorithm_2_loss.losses, "choices"),
        says=says("<=", 1, "points"),
        words=(
            "Put as: what it chooses is no more than the point of Section IV-G worse than the best batch "
            "size, on each data set."
        ),
    ),
    "vi-small-lr": _branch("small"),
    "vi-medium-lr": _branch("medium"),
    "vi-large-lr": _branch("large"),
}
