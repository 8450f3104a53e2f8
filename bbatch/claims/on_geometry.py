"""The paper's claims on sharpness, gradient noise, the critical batch size and Algorithm 2."""

from .. import published
from ..analysis import critical_batch_size, landscapes, printed, regret
from ..analysis import noise_and_batch_size as noise
from ..analysis import sharpness_and_batch_size as sharp
from ..config import DATASETS, PUBLISHED, SYNTHETIC
from ..geometry.one_network import BALLS
from .claim import Put, crossed, each, one
from .on_accuracy import LARGE_SETS
from .rules import Says

SETS = {size: {"dataset": f"synthetic-{size.lower()}"} for size in ("1K", "10K", "50K")}
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
        "at": "initialization",
    },
}
_FIGURES = {size: {"datasets": (way["dataset"], "mnist")} for size, way in SETS.items()}
WALLS = {  # of the bowls in Figs. 9 and 10: how far out, and on which loss
    f"landscape {where}, {split} loss": {"radius": radius, "split": split}
    for where, radius in (("at its border", 1.0), ("midway to its border", 0.5))
    for split in ("train", "test")
}
PRINTED_RATIO = one(printed.stated_ratio)


def _eq3(asks, paper=(), **given) -> Put:
    words = (
        "The paper says neither of which data set and in which norm, nor whether the maximum was searched "
        "for or sampled, nor on which loss. Its two values and their ratio must come from one reading. The "
        "page on sharpness has measures beyond Eq. (3), too: the trace of the Hessian falls with B on all "
        "three synthetic sets."
    )
    return Put(each(crossed(SETS, EQ3), asks, "minima", **given), paper, words=words, shares="sharpness")


def _sharper(words: str, datasets=(*SYNTHETIC, "mnist"), paper=PRINTED_RATIO, readings=EQ3) -> Put:
    asked = each(readings, sharp.sharpness_ratios, "minima", datasets=datasets)
    return Put(asked, paper, Says(">", 1, "ratio"), words)


def _variance(of: str, id: str = "", relation: str = "") -> Put:
    sets = {DATASETS[d].title: {"dataset": d} for d in PUBLISHED}
    words = (
        "The paper says neither of which data set nor of which network. Slope and R² must come from one "
        "reading."
    )
    return Put(
        each(crossed(sets, NETWORKS), noise.variance_fit, "measures", of=of),
        one(printed.stated, id=id) if id else (),
        Says(relation, -1, "exponent") if relation else None,
        words,
        "gradient variance",
    )


RATIO = _eq3(sharp.sharpness_ratio, PRINTED_RATIO, small=32, large=512)
SLOPE = _variance("exponent", "iv-f-variance-slope", "~")
FIT = _variance("r_squared", "iv-f-variance-r2")
CONFIRMED = _sharper(
    "Put as: sharper at the large batch size than at B = 32, on each synthetic set and on MNIST. That "
    "sharper minima generalize worse is the other half of the hypothesis; the paper shows no experiment on "
    "it, and the falls of accuracy are judged as claims of their own."
)
SHARPNESS = {
    "abstract-sharpness-ratio": RATIO,
    "iv-e-sharpness-b32": _eq3(sharp.sharpness_at, batch_size=32),
    "iv-e-sharpness-b512": _eq3(sharp.sharpness_at, batch_size=512),
    "iv-e-sharpness-ratio": RATIO,
    "v-a-sharpness-ratio": RATIO,
    "vii-sharpness-ratio": RATIO,
    "vii-sharpness-method": Put(
        each(
            {label: way for label, way in crossed(SETS, EQ3).items() if BALLS["filter"] in label},
            sharp.sharpness_ratio,
            "minima",
            small=32,
            large=512,
        )
        + each(crossed(SETS, WALLS), landscapes.steeper_walls, "circles"),
        PRINTED_RATIO,
        words="Section IV-E takes the ratio from Eq. (3), a maximum over a ball, and not from a landscape. "
        "Both can be so if the ball is normalized by filter, as the landscape is: those readings are judged "
        "here, and beside them how far the loss rises in planes as those of the figures.",
    ),
    "v-c-large": Put(
        each(EQ3, sharp.sharpness_ratios, "minima", datasets=LARGE_SETS, large=128),
        says=Says("<", published.value("iv-e-sharpness-ratio"), "ratio", level=True),
        words="What catastrophic is, the paper does not say; the one growth of sharpness that it prints is "
        "that of its headline. Put as: from B = 32 to 128, the largest batch size that Algorithm 2 gives to "
        "large sets, sharpness grows by less than that, on each set of more than the named size.",
    ),
    "abstract-sharp-large": _sharper(
        "Put as: the sharpness is larger at the large batch size than at B = 32, on each synthetic set and "
        "on MNIST. The abstract names the training loss, so the readings with it are judged.",
        readings={label: way for label, way in EQ3.items() if way["split"] == "train"},
    ),
    "abstract-flat-small": _sharper(
        "Put as: sharper at the large batch size on the synthetic sets and on MNIST. That small batches "
        "generalize better is judged as the claim of Section I."
    ),
    "iv-e-confirmed": Put(
        RATIO.ours,
        RATIO.paper,
        Says(">", 1, "ratio"),
        "Put as: sharper at the large batch size, on one of the synthetic sets. The two values that the "
        "sentence rests on are of one set, which the paper does not name.",
    ),
    "v-a-confirmed": CONFIRMED,
    "vii-confirmed": CONFIRMED,
    "iv-e-shapes": Put(
        each(crossed(_FIGURES, WALLS), landscapes.steeper_walls_on_each, "circles"),
        PRINTED_RATIO,
        Says(">", 1, "ratio"),
        "The shape of a surface has no number in the paper. Put as: around the network of the large batch "
        "size the loss rises further than around that of B = 32, on MNIST and on one of the synthetic sets. "
        "Of which one Fig. 9 is, it does not say. Measured in planes as those of Figs. 9 and 10, one a seed, "
        "half way to their border and at it.",
    ),
    "v-a-agnostic": _sharper(
        "Put as: sharper at the large batch size with each network. The paper prints a sharpness of one "
        "network alone.",
        PUBLISHED,
        (),
    ),
    "iv-e-cifar10-memory": Put(
        words="What the authors' program held in memory is not known; its GPU had 48 GB (Section III-G). "
        "Point by point a landscape needs what one evaluation of the network needs, and the page on "
        "sharpness has landscapes of CIFAR-10."
    ),
}
VARIANCE = {
    "iv-f-variance-slope": _variance("exponent"),
    "abstract-variance-slope": SLOPE,
    "ii-b-variance-slope": SLOPE,
    "iv-f-theory-slope": SLOPE,
    "vii-variance-slope": SLOPE,
    "iv-f-variance-r2": _variance("r_squared"),
    "abstract-variance-r2": FIT,
    "i-b-variance-r2": FIT,
    "v-b-variance-r2": FIT,
    "vii-variance-r2": FIT,
}
_CAUSE = Put(
    words="That noise and geometry both change with B does not show that one causes the other; an "
    "intervention on the noise alone would be needed. The law of its variance is an identity of sampling."
)
MECHANISM = {"v-b-mechanism": _CAUSE, "vii-mechanism": _CAUSE}

_OVER = {"over all data sets": {"datasets": PUBLISHED}, "over the synthetic sets": {"datasets": SYNTHETIC}}
_EXPONENT = Put(
    each(_OVER, critical_batch_size.exponent),
    each(_OVER, critical_batch_size.printed_exponent)
    + one(
        critical_batch_size.exponent,
        "runs",
        "by the definition from the printed accuracies",
        datasets=PUBLISHED,
    ),
)
CRITICAL = {
    "iv-g-critical-exponent": _EXPONENT,
    "abstract-critical-exponent": _EXPONENT,
    "vi-bound-exponent": _EXPONENT,
    "vii-critical-exponent": _EXPONENT,
    "iv-g-literature": Put(
        words="Rests on works by others; the page on ambiguities says what one of them finds instead."
    ),
}


def _branch(name: str) -> Put:
    words = (
        "Line 9 of Algorithm 2 must give rates in the range that its own branch prints. The base rate is its "
        "input: the default one of the list below it, or the one that fits all three branches, if any."
    )
    bases = {"from the default rate": {"fitting": False}, "from the rate that fits": {"fitting": True}}
    return Put((), each(bases, printed.branch_rates, branch=name), words=words)


ALGORITHM = {
    "vi-algorithm": Put(
        one(regret.lost_by_algorithm_2, "choices"),
        says=Says("<=", 1, "points"),
        words="Put as: what it chooses is no more than the point of Section IV-G worse than the best batch "
        "size, on each data set.",
    ),
    "vi-small-lr": _branch("small"),
    "vi-medium-lr": _branch("medium"),
    "vi-large-lr": _branch("large"),
}
