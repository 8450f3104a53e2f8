"""Why a claim fails, where a run or the paper's own tables show it; the numbers in the sentences are computed here.

Each reason belongs to the claims whose id begins with one of its stems, and is given only where the claim does not
hold. A claim that fails and has none is unexplained, and the page says so.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import published
from ..config import DATASETS, SYNTHETIC, plan
from .judging import Judgement
from .quantities_costs import more_epochs
from .rules import DIRECTION, INCONSISTENT, NOT
from .witnesses import Paper, Runs, number

REASONS: list[tuple[tuple[str, ...], Callable[[Runs], str]]] = []
UNEXPLAINED = "Unexplained: no run of ours shows why."
CONTRADICTED = (
    "The paper's own tables do not bear it out, either: nothing of it is left that a run could reproduce."
)


def because(*stems: str):
    """Enter a reason for the claims whose ids begin with these stems."""

    def enter(function):
        REASONS.append((stems, function))
        return function

    return enter


def reasons(judgement: Judgement, ours: Runs) -> list[str]:
    """Why a claim fails; empty where it does not fail. Sentences that lack the runs they need are left out."""
    if judgement.verdict not in (NOT, DIRECTION) and judgement.check != INCONSISTENT:
        return []
    found = [function(ours) for stems, function in REASONS if judgement.claim.id.startswith(stems)]
    found = [sentence for sentence in found if sentence]
    if found or judgement.verdict != NOT:
        return found
    return [CONTRADICTED if judgement.check == INCONSISTENT else UNEXPLAINED]


@because(
    "table-v-", "iv-d", "abstract-unscaled", "i-b-unscaled", "v-d-unscaled", "vii-unscaled", "vii-gap-ratio"
)
def table_v_is_not_table_vii(ours: Runs) -> str:
    scaled = (
        published.learning_rate_ablation().query("lr_rule == 'linear'").set_index("batch_size")["test_acc"]
    )
    paper = Paper()
    apart = ", ".join(number(paper.cell("synthetic-50k", b).value - v) for b, v in scaled.items())
    text = (
        f"Table V cannot come from the data of Table VII: with the same data set, batch sizes and scaled rates "
        f"(B = {', '.join(map(str, scaled.index))}) its test accuracies are {apart} points lower."
    )
    spread = [runs["test_acc"].std() for b in scaled.index if len(runs := ours.runs("synthetic-50k", b)) > 1]
    if not spread:
        return text
    return text + f" Our seeds scatter there by {number(max(spread))} points at most (standard deviation)."


@because(
    "iv-d-drop",
    "iv-d-fixed",
    "iv-d-prerequisite",
    "abstract-unscaled",
    "i-b-unscaled",
    "v-d-unscaled",
    "vii-unscaled",
    "table-v-synthetic-50k-b512-fixed",
)
def the_fixed_rate_trains_as_well(ours: Runs) -> str:
    rows = {rule: ours.runs("synthetic-50k", 512, rule) for rule in ("constant", "linear")}
    if any(some.empty for some in rows.values()):
        return ""
    clean = {rule: number(some["train_acc"].mean()) for rule, some in rows.items()}
    lr = {rule: plan("synthetic-50k", 512, lr_rule=rule).lr for rule in rows}
    return (
        f"How far the fixed rate trains: at B = 512 it ends with {clean['constant']} % of our training set "
        f"right (rate {lr['constant']:g}), the scaled one with {clean['linear']} % (rate {lr['linear']:g})."
    )


@because("iv-a-1k", "iv-a-10k", "iv-a-50k")
def the_text_is_not_table_vii(ours: Runs) -> str:
    apart, from_text, from_table = [], [], []
    for size, name in zip(("1k", "10k", "50k"), SYNTHETIC):
        for end, b in zip(("b8", "b512") if size == "1k" else ("small", "large"), (8, 512)):
            text, table = published.value(f"iv-a-{size}-{end}"), Paper().cell(name, b).value
            apart.append(table - text)
            if len(mine := ours.runs(name, b)["test_acc"]):
                from_text.append(abs(mine.mean() - text))
                from_table.append(abs(mine.mean() - table))
    said = (
        f"The accuracies of Section IV-A lie {number(min(apart))} to {number(max(apart))} points below those that "
        "Table VII prints for the same data sets and batch sizes."
    )
    return said + (
        f" Ours lie {number(sum(from_table) / len(from_table))} points from the table, on average, and "
        f"{number(sum(from_text) / len(from_text))} from the text."
        if from_text
        else ""
    )


@because("iv-a-monotone", "i-smaller", "iv-a-smallest", "iv-a-1k-drop", "iv-a-10k-drop", "v-c-default")
def the_smallest_batch_underfits(ours: Runs) -> str:
    low, high = ours.runs("synthetic-1k", 1), ours.runs("synthetic-1k", 32)
    if low.empty or high.empty or low["train_acc"].mean() >= high["train_acc"].mean():
        return ""
    text = (
        f"Under the linear rule the rate falls with B: at B = 1 it is {plan('synthetic-1k', 1).lr:.2g}, and the "
        f"network of {DATASETS['synthetic-1k'].title} ends with {number(low['train_acc'].mean())} % of its "
        f"training set right, against {number(high['train_acc'].mean())} % at B = 32: it is trained less."
    )
    rate = ours.combination("synthetic-50k", "test_acc", {(1, "constant"): 1, (1, "linear"): -1})
    if rate.n > 1:
        where = DATASETS["synthetic-50k"].title
        shows = "no effect of the rate shows" if rate.low <= 0 <= rate.high else "the rate has an effect, too"
        text += (
            f" On {where}, with more samples to train on, {shows}: the unscaled one in its place changes test accuracy "
            f"at B = 1 by {number(rate.value)} points ({number(rate.low)} to {number(rate.high)}, {rate.n} seeds)."
        )
    return text


@because("table-vi-", "iv-g-critical", "abstract-critical", "vi-bound", "vii-critical")
def accuracy_never_falls_so_far(ours: Runs) -> str:
    said = []
    for name in DATASETS:
        means = ours.accuracies(name)
        if set(means) == set(ours.sizes(name)):
            best = max(means, key=means.get)
            lowest = min((v, b) for b, v in means.items() if b >= best)
            said.append(
                f"{DATASETS[name].title} {number(means[best] - lowest[0])} (B = {best} to {lowest[1]})"
            )
    return (
        f"The largest fall above the best batch size, in points of our means: {'; '.join(said)}."
        if said
        else ""
    )


@because("iv-a-cifar10", "iv-c-cifar10", "v-e-cifar10", "table-iv-cifar10-b512", "table-iv-cifar10-b1024")
def does_the_collapse_follow_the_rate(ours: Runs) -> str:
    said = []
    for b in (512, 1024):
        ends = {rule: ours.runs("cifar10", b, rule)["test_acc"] for rule in ("linear", "constant")}
        if all(map(len, ends.values())):
            at = [
                f"a rate of {plan('cifar10', b, lr_rule=rule).lr:g} ({rule} rule) ends at {number(some.mean())} %"
                for rule, some in ends.items()
            ]
            said.append(f"at B = {b}, {' and '.join(at)} (n = {min(map(len, ends.values()))})")
    if not said:
        return (
            "Whether large batches or the large rates that the linear rule gives them do the harm on CIFAR-10 is "
            "not settled here; `bbatch sweep cifar10 --lr-rule constant` would tell."
        )
    return f"Batch size or learning rate? On CIFAR-10 {'; '.join(said)}."


@because("i-epoch", "iv-c-epoch", "v-e-epoch", "vii-epoch", "v-e-wall")
def our_steps_cost_little(ours: Runs) -> str:
    rows = [ours.runs("synthetic-50k", b)["epoch_cpu_s"].dropna() for b in (1, 512)]
    if any(some.empty for some in rows):
        return ""
    theirs = [Paper().cell("synthetic-50k", b, "epoch_time_s") for b in (1, 512)]
    mine = [number(some.mean(), 3) for some in rows]
    return (
        f"On {DATASETS['synthetic-50k'].title} an epoch at B = 1 takes us {mine[0]} s of one core and the paper "
        f"{theirs[0].shown} s; at B = 512, {mine[1]} s and {theirs[1].shown} s. What large batches save is, in "
        "part, the cost of a step in the code."
    )


@because("iv-c-more", "vii-more")
def large_batches_have_large_rates(ours: Runs) -> str:
    lr = {b: plan("synthetic-50k", b).lr for b in (32, 512)}
    ratios = [
        f"{number(part.value)} on {part.label}"
        for part in more_epochs(ours, "own")
        if part.n and part.value > 0
    ]
    return (
        f"Under the linear rule the large batch has the larger rate, on {DATASETS['synthetic-50k'].title} "
        f"{lr[512]:g} at B = 512 against {lr[32]:g} at B = 32. Epochs to just below both final "
        f"accuracies, large over small: {'; '.join(ratios)}."
        if ratios
        else ""
    )


@because("iv-b-correlation", "iv-b-p")
def the_data_set_matters_more(ours: Runs) -> str:
    from ..analysis.generalization_gap import correlations

    table = correlations(ours.frame[ours.frame["lr_rule"] == "linear"])
    theirs = table[(table["source"] == "the paper's tables") & (table["pairs of"] != "all data sets")]
    said = [f"{title} {number(r)}" for title, r in zip(theirs["pairs of"], theirs["r"])]
    return f"What pooling hides: within each data set of the paper's tables, r is {', '.join(said)}."
