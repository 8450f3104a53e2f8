"""The paper's claims on gaps, epochs, time and rates (Sections II, IV-B to IV-D, V-D, V-E, VII)."""

from __future__ import annotations

from functools import partial

from ..analysis import accuracy, efficiency, learning_rate_rules, printed, warm_up
from ..analysis import generalization_gap as gap
from ..config import PUBLISHED, SYNTHETIC
from .claim import Put, Reading, one, says

TRAINED = {"running training accuracy": "gap_running", "clean training accuracy": "gap"}
REACHED = {
    "to the accuracy of Section III-D": 80,
    "to a point below the best mean accuracy": "near",
    "to just below both final accuracies": "own",
}
COMPARED = (
    "The largest batch size against a small one, on each data set; where the small one does not get there, "
    "the data set is left out. The paper names neither the small one nor the accuracy to reach; Section "
    "III-D has one. On MNIST the five epochs of warm-up begin at B = 256, and delay the large batches by "
    "as much."
)
PER_EPOCH = (
    "The paper does not say compared with what. Judged on each data set; those it trained on a GPU need "
    "one here, too. The gain depends on the code as well: ours spends little time on a step, so it has "
    "less to gain."
)


def of_gap(asks, says=None, words: str = "", of: str = "runs", paper=None, level: bool = False) -> Put:
    """A question about gaps in both readings of the training accuracy; all such claims share one."""
    readings = tuple(Reading(partial(asks, metric=m), of, label, label) for label, m in TRAINED.items())
    theirs = paper or (Reading(partial(asks, metric="gap"), of),)
    return Put(readings, theirs, says, words, "training accuracy", level)


def _steepest() -> Put:
    kinds = {
        "a monotonic increase": partial(accuracy.rises, datasets=["cifar10"]),
        "steeper than on the other sets": partial(gap.steeper, dataset="cifar10"),
    }
    ours = tuple(
        Reading(partial(asks, metric=metric), label=f"{kind}, {label}", key=label)
        for kind, asks in kinds.items()
        for label, metric in TRAINED.items()
    )
    theirs = tuple(Reading(partial(asks, metric="gap"), label=kind) for kind, asks in kinds.items())
    words = '"Steepest" is put as: the gap grows more for each doubling of B than on any other data set.'
    return Put(ours, theirs, says(">=", 0, "points"), words, "training accuracy")


def _level_of_gap(lr_rule: str, paper=None) -> Put:
    asked = partial(accuracy.level, dataset="synthetic-50k", batch_size=512, lr_rule=lr_rule)
    return of_gap(asked, of="ablation", paper=paper, level=True)


def _speedup() -> Put:
    which = {"": PUBLISHED, ", on the sets run on a GPU": ("mnist", "cifar10")}
    found = tuple(_faster(b, names, where) for where, names in which.items() for b in (1, 8, 32))
    return Put(found, found, words=PER_EPOCH, shares="small batch size")


def _faster(base: int, datasets=PUBLISHED, where: str = "") -> Reading:
    label = f"from B = {base} to the largest{where}"
    return Reading(partial(efficiency.epoch_speedups, base=base, datasets=datasets), "all", label, label)


def _to_accuracy(asks, paper=()) -> Put:
    ours = tuple(
        Reading(partial(asks, accuracy=to, base=b), "all", f"{label}, from B = {b}", f"{label}, from B = {b}")
        for b in (32, 1)
        for label, to in REACHED.items()
    )
    return Put(ours, paper, words=COMPARED, shares="epochs to an accuracy")


def _unscaled(at: str, words: str) -> Put:
    losses = {
        "against the scaled rate, in points": learning_rate_rules.loss_without,
        "against the scaled rate, as a share of the accuracy": learning_rate_rules.share_lost,
        "against B = 32 at the fixed rate": learning_rate_rules.fall_without,
    }
    found = tuple(
        Reading(
            partial(learning_rate_rules.largest, loss=loss)
            if at == "most"
            else partial(loss, batch_size=512),
            "ablation",
            label,
            label,
        )
        for label, loss in losses.items()
    )
    as_number = says("=", 10, "points", rounding=0.5) if at == "most" else None
    return Put(found, found, as_number, words, shares="loss without scaling")


UP_TO = _unscaled(
    "most",
    '"Up to" is read as: the largest loss over the batch sizes is about that large. A mere upper bound '
    "would hold without "
    "any loss, and Section V-D gives the same number as observed. Against what accuracy is lost, the paper "
    "does not say.",
)
LOSS = one(partial(learning_rate_rules.loss_without, batch_size=512), "ablation")
TRIPLES = of_gap(
    partial(learning_rate_rules.gap_ratio, batch_size=512),
    says("~", 3, "ratio", rounding=0.5),
    '"Triples" is taken as an approximate number.',
    of="ablation",
)

GAP = {
    "iv-b-correlation": of_gap(gap.correlation, words="Each pair is one cell: a batch size on a data set."),
    "iv-b-p-value": of_gap(gap.p_value, words="Each pair is one cell: a batch size on a data set."),
    "iv-b-gap-bound": of_gap(
        partial(gap.gaps, largest=64), words="Judged at each batch size of each data set."
    ),
    "iv-b-cifar10-steepest": _steepest(),
    "iv-b-mnist-stable": Put(
        tuple(
            Reading(
                partial(gap.spread, dataset="mnist", metric=metric, largest=b),
                label=f"{where}, {label}",
                key=label,
            )
            for where, b in (("over all batch sizes", 1024), ("without the largest", 512))
            for label, metric in TRAINED.items()
        ),
        tuple(
            Reading(partial(gap.spread, dataset="mnist", metric="gap", largest=b), label=where)
            for where, b in (("over all batch sizes", 1024), ("without the largest", 512))
        ),
        says("<=", 1, "points"),
        'Put as: the largest gap lies at most a point above the smallest. "Mostly stable" is not '
        "given in numbers; this one "
        "is ours.",
        "training accuracy",
    ),
    "iv-b-synthetic-between": of_gap(
        partial(gap.between, datasets=SYNTHETIC),
        says(">=", 0, "points"),
        "Put as: the mean gap over the batch sizes that all sets share lies above MNIST's and below "
        "CIFAR-10's, for each synthetic set.",
    ),
    "iv-b-mnist-reason": Put(
        words="No experiment of the paper varies the variation within a class, and none of ours does."
    ),
}
EPOCH_TIME = {
    id: _speedup()
    for id in ("i-epoch-speedup", "iv-c-epoch-speedup", "v-e-epoch-speedup", "vii-epoch-speedup")
}
EPOCHS = {id: _to_accuracy(efficiency.more_epochs) for id in ("iv-c-more-epochs", "vii-more-epochs")}
WALL_CLOCK = {
    "v-e-wall-clock": _to_accuracy(
        efficiency.wall_clock,
        tuple(
            Reading(
                partial(efficiency.wall_clock, accuracy=80, base=b), "all", f"from B = {b} to the largest"
            )
            for b in (32, 1)
        ),
    )
}
SCALING = {
    "iv-d-scaled": Put(
        one(partial(accuracy.level, dataset="synthetic-50k", batch_size=512)),
        tuple(
            Reading(partial(accuracy.level, dataset="synthetic-50k", batch_size=512), of, label)
            for of, label in (("ablation", "Table V"), ("runs", "Table VII"))
        ),
        words="The same configuration stands in Tables V and VII, several points apart.",
    ),
    "iv-d-fixed": Put(
        *2
        * (
            one(
                partial(accuracy.level, dataset="synthetic-50k", batch_size=512, lr_rule="constant"),
                "ablation",
            ),
        )
    ),
    "iv-d-drop": Put(LOSS, LOSS, words="The number printed is the gap in the same row of Table V."),
    "iv-d-gap-scaled": _level_of_gap(
        "linear",
        tuple(
            Reading(partial(accuracy.level, dataset="synthetic-50k", batch_size=512, metric="gap"), of, label)
            for of, label in (("ablation", "Table V"), ("runs", "Table VII"))
        ),
    ),
    "iv-d-gap-fixed": _level_of_gap("constant"),
    "iv-d-gap-ratio": TRIPLES,
    "iv-d-prerequisite": Put(
        LOSS,
        LOSS,
        says(">", 1, "points"),
        "Put as: without scaling, accuracy at B = 512 is lower by more than the point that Section IV-G "
        "calls a fall.",
    ),
    "abstract-unscaled-loss": UP_TO,
    "i-b-unscaled-loss": UP_TO,
    "vii-unscaled-loss": UP_TO,
    "v-d-unscaled-loss": _unscaled("512", "Against what accuracy is lost, the paper does not say."),
    "vii-gap-ratio": TRIPLES,
    "v-d-architecture": Put(words="No data set of the paper is trained with more than one architecture."),
}
WARMUP = {
    "ii-c-warmup-from": Put(
        one(warm_up.gains, "warm_up"),
        says=says(">", 1, "points"),
        words=(
            "Put as: without a warm-up, accuracy at each batch size from the named one on is lower by more "
            "than the point of Section IV-G. Tried on the synthetic sets, where the paper uses none, and "
            "with the pairs of runs with and without one that MNIST and CIFAR-10 have."
        ),
    ),
    "vi-warmup-from": Put(
        (),
        one(printed.warmed_up),
        says("=", 1, "places"),
        "The paper's own experiments must follow its rule: each data set that is trained at such a batch "
        "size is warmed up there (1) or not (0). CIFAR-10 is not, and collapses.",
    ),
}
NO_COST = tuple(_faster(b) for b in (1, 8, 32))
FREE = {
    "v-b-free": Put(
        NO_COST,
        NO_COST,
        says("<=", 1, "ratio"),
        "Put as: an epoch with a small batch, which is where the noise is, takes no longer than one with the "
        "largest. Judged on each data set, on the hardware of the paper.",
    ),
    "ii-b-no-tuning": Put(
        words=(
            "Has no number. The paper's own Algorithm 2 tunes the batch size, by halving or doubling it and "
            "training again, and the rate with it."
        )
    ),
}
