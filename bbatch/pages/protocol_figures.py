"""Figures of what is run: the synthetic data, the learning rates of Table II, and one run in training."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..config import DATASETS, LR_RULES, SYNTHETIC, Run, plan
from .picture import describe
from .style import COLORS, INK, STYLE, batch_size_axis


def synthetic_sets(datasets: dict) -> Figure:
    """Training samples (`data.Data` of features, by name) on their first two principal components."""
    with mpl.rc_context(STYLE):
        size = (4.1 * len(datasets), 3.8)
        figure, axes = plt.subplots(1, len(datasets), figsize=size, sharex=True, sharey=True, squeeze=False)
        shares = []
        for axis, (name, data) in zip(axes[0], datasets.items(), strict=True):
            x, y = data.train_x.numpy().astype(float), data.train_y.numpy()
            centred = x - x.mean(0)
            _, spread, directions = np.linalg.svd(centred, full_matrices=False)
            share = 100 * (spread[:2] ** 2).sum() / (spread**2).sum()
            shares.append(f"{share:.0f} % on {DATASETS[name].title}")
            at = centred @ directions[:2].T
            shown = np.random.default_rng(0).permutation(len(x))[:2_000]
            for label, color in enumerate((COLORS[name], INK)):
                chosen = shown[y[shown] == label]
                dots = dict(color=color, markersize=3, alpha=0.6, rasterized=True)
                axis.plot(*at[chosen].T, ".", label=f"class {label}", **dots)
            axis.set(
                xlabel="First principal component",
                ylabel="Second principal component",
                title=f"{DATASETS[name].title} ({len(shown):,} of {len(x):,})",
            )
            axis.tick_params(labelleft=True)
            axis.legend(fontsize=9, markerscale=3)
    plt.close(figure)
    return describe(
        figure,
        "Training samples of the synthetic sets (the titles say how many of how many are drawn) on the two "
        "directions in which they spread most, which hold "
        f"{', '.join(shares)} of their variance. Colours: the two classes. Features are standardized and "
        "have no unit.",
    )


def learning_rates() -> Figure:
    """Target learning rate against batch size under each rule, for each protocol of Table II."""
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(12.3, 3.9))
        for axis, name in zip(axes, (SYNTHETIC[-1], "mnist", "cifar10"), strict=True):
            sizes = DATASETS[name].protocol.batch_sizes
            for rule, line in zip(LR_RULES, (":", "-", "--"), strict=True):
                rates = [plan(name, b, lr_rule=rule).lr for b in sizes]
                axis.plot(sizes, rates, line, color=COLORS[name], label=rule)
            axis.set_yscale("log")
            batch_size_axis(axis, sizes)
            optimizer = {"sgd": "SGD", "adam": "Adam"}[DATASETS[name].protocol.optimizer]
            axis.set(ylabel="Learning rate (log scale)", title=f"{DATASETS[name].title}, {optimizer}")
            axis.legend(fontsize=9)
    plt.close(figure)
    spread = []
    for name in (SYNTHETIC[-1], "mnist", "cifar10"):
        sizes = DATASETS[name].protocol.batch_sizes
        spread.append(f"{plan(name, max(sizes)).lr / plan(name, min(sizes)).lr:g} on {DATASETS[name].title}")
    return describe(
        figure,
        "Target learning rate under each rule, computed from the configuration. From the smallest batch size "
        f"to the largest, the linear rule raises it by a factor of {', '.join(spread)}.",
    )


def one_run(outcome, run: Run) -> Figure:
    """Accuracy and loss of one run after each epoch, from a `trainer.Outcome`."""
    h, n_test = outcome.history, DATASETS[run.dataset].n_test
    epochs = np.arange(1, len(h["test_correct"]) + 1)
    color = COLORS[run.dataset]
    with mpl.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.8))
        test, train = (
            100 * np.array(h["test_correct"]) / n_test,
            100 * np.array(h["train_correct"]) / run.n_train,
        )
        left.plot(epochs, test, color=color, label="test")
        left.plot(epochs, train, "--", color=INK, label="training, running")
        left.set(xlabel="Epoch", ylabel="Accuracy (%)")
        left.set_title(f"{DATASETS[run.dataset].title}, B = {run.batch_size}, seed {run.seed} (n = 1 run)")
        right.plot(epochs, h["test_loss"], color=color, label="test")
        right.plot(epochs, h["train_loss"], "--", color=INK, label="training, running")
        right.set(xlabel="Epoch", ylabel="Cross-entropy (nats)")
        left.legend(fontsize=9)
        right.legend(fontsize=9)
    plt.close(figure)
    return describe(
        figure,
        f"One run, trained as this page was made: {test[-1]:.2f} % of the test samples right after "
        f"{len(epochs)} epochs (n = 1, no interval over seeds).",
    )
