"""Figures of what is run: the synthetic data, the learning rates of Table II, and one run in training."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from ..config import DATASETS, LR_RULES, PUBLISHED, SYNTHETIC, Run, plan
from ..models import NETWORKS, build, parameter_count
from .picture import describe
from .style import COLORS, INK, batch_size_axis, drawing, panels_of

SAMPLES = Path(__file__).with_name("samples.npz")  # ten test images of each image set, a class each
# Samples of the networks that take images, [C, H, W]; the others take vectors of features.
IMAGE_SHAPES = {"mnist-cnn": (1, 28, 28), "cifar-cnn": (3, 32, 32)}
LAYERS = {"Conv2d": "conv 3×3", "MaxPool2d": "max pool", "AdaptiveAvgPool2d": "average"}
LAYERS |= {"Flatten": "flatten", "Linear": "linear"}


@drawing
def synthetic_sets(datasets: dict) -> Figure:
    """Training samples (`data.Data` of features, by name) on their first two principal components."""
    figure, axes = panels_of(len(datasets), width=4.1, height=3.8, sharex=True, sharey=True)
    shares = []
    for axis, (name, data) in zip(axes, datasets.items(), strict=True):
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
        axis.set(xlabel="First principal component", ylabel="Second principal component")
        axis.set_title(f"{DATASETS[name].title} ({len(shown):,} of {len(x):,})")
        axis.tick_params(labelleft=True)
        axis.legend(fontsize=9, markerscale=3)
    return describe(
        figure,
        "Training samples of the synthetic sets (the titles say how many of how many are drawn) on the two "
        "directions in which they spread most, which hold "
        f"{', '.join(shares)} of their variance. Colours: the two classes. Features are standardized and "
        "have no unit.",
    )


@drawing
def learning_rates() -> Figure:
    """Target learning rate against batch size under each rule, for each protocol of Table II."""
    figure, axes = plt.subplots(1, 3, figsize=(12.3, 3.9))
    spread = []
    for axis, name in zip(axes, (SYNTHETIC[-1], "mnist", "cifar10"), strict=True):
        sizes, title = DATASETS[name].protocol.batch_sizes, DATASETS[name].title
        spread.append(f"{plan(name, max(sizes)).lr / plan(name, min(sizes)).lr:g} on {title}")
        for rule, line in zip(LR_RULES, (":", "-", "--"), strict=True):
            rates = [plan(name, b, lr_rule=rule).lr for b in sizes]
            axis.plot(sizes, rates, line, color=COLORS[name], label=rule)
        axis.set_yscale("log")
        batch_size_axis(axis, sizes)
        optimizer = {"sgd": "SGD", "adam": "Adam"}[DATASETS[name].protocol.optimizer]
        axis.set(ylabel="Learning rate (log scale)", title=f"{title}, {optimizer}")
        axis.legend(fontsize=9)
    return describe(
        figure,
        "Target learning rate under each rule, computed from the configuration. From the smallest batch size "
        f"to the largest, the linear rule raises it by a factor of {', '.join(spread)}.",
    )


@drawing
def one_run(right: list[int], recorded: list[int], run: Run) -> Figure:
    """Test error after each epoch, from counts of right test samples, with the record's points."""
    n_test, color = DATASETS[run.dataset].n_test, COLORS[run.dataset]
    epochs = np.arange(1, len(right) + 1)
    figure, axis = plt.subplots(figsize=(6.4, 3.8))
    axis.plot(epochs, 100 - 100 * np.array(right) / n_test, color=color, label="trained on this page")
    if recorded:
        dots = dict(color=INK, markerfacecolor="none", markersize=5, linestyle="")
        axis.plot(epochs, 100 - 100 * np.array(recorded) / n_test, "o", label="the committed record", **dots)
    axis.set(xlabel="Epoch", ylabel="Test error (%)", ylim=(0, None))
    axis.set_title(f"{DATASETS[run.dataset].title}, B = {run.batch_size}, seed {run.seed}")
    axis.legend(fontsize=9)
    said = f"{right[-1]} of the {n_test:,} test samples right after {len(right)} epochs"
    return describe(figure, f"{said} (one run, no interval).")


@drawing
def images() -> Figure:
    """The first test image of each class of MNIST and CIFAR-10, which stand beside this module."""
    with np.load(SAMPLES) as samples:
        figure, axes = plt.subplots(len(samples), 10, figsize=(9.5, 2.3), squeeze=False)
        for row, name in zip(axes, samples, strict=True):
            for axis, image in zip(row, samples[name], strict=True):
                axis.imshow(image.squeeze(), cmap="gray_r", interpolation="nearest")
                axis.set(xticks=[], yticks=[])
            row[0].set_ylabel(DATASETS[name].title)
        titles = " and ".join(DATASETS[name].title for name in samples)
    return describe(figure, f"The first test image of each of the ten classes of {titles}.")


def stages(name: str) -> list[tuple[str, tuple[int, ...]]]:
    """What a sample becomes on its way through a network: (layer and its parameters, shape after it). Layers
    that change no shape are named with the one before."""
    features = next(spec.features for spec in DATASETS.values() if spec.network == name)
    shape = IMAGE_SHAPES.get(name, (features,))
    at, found = torch.zeros(1, *shape), [("input", shape)]
    for layer in build(name, 0).eval():
        at, count = layer(at), parameter_count(layer)
        now, kind = tuple(at.shape[1:]), LAYERS.get(type(layer).__name__, type(layer).__name__)
        if count or now != found[-1][1]:
            found.append((f"{kind}: {count:,}" if count else kind, now))
    return found


@drawing
def drawn_networks() -> Figure:
    """The three networks, from top to bottom: images as stacks, vectors as bars, layers beside the arrows."""
    names = list(dict.fromkeys(DATASETS[d].network for d in PUBLISHED))  # the paper's, whatever a reader adds
    longest = max(len(stages(name)) for name in names)
    figure, axes = plt.subplots(1, len(names), figsize=(10.5, 0.8 * longest))
    for axis, name in zip(axes, names, strict=True):
        for down, (layer, shape) in enumerate(stages(name)):
            _box(axis, -down, shape)
            axis.annotate("×".join(f"{n:,}" for n in shape), (0.66, -down), va="center", fontsize=9.5)
            if down:
                arrow = dict(arrowstyle="->", color=INK)
                axis.annotate("", (0, 0.27 - down), (0, 0.73 - down), arrowprops=arrow)
                axis.annotate(layer, (0.07, 0.5 - down), va="center", fontsize=9.5)
        sets = ", ".join(spec.title for spec in DATASETS.values() if spec.network == name)
        axis.set_title(f"{name}: {parameter_count(NETWORKS[name]()):,} parameters", fontsize=11)
        axis.text(0, 1, sets, transform=axis.transAxes, va="top", fontsize=9)
        axis.set(xlim=(-0.7, 1.35), ylim=(0.5 - longest, 0.65))
        axis.axis("off")
    return describe(
        figure,
        "Each arrow names a layer and, where it has any, its trainable parameters; beside each box stands "
        "the shape of one sample there. After each layer with parameters but the last comes a ReLU. The "
        "network for features drops 20 % after each, that for MNIST 25 % before its last layer.",
    )


def _box(axis, y: float, shape: tuple[int, ...]) -> None:
    """An activation: a bar for a vector, a stack of squares seen aslant for channels of an image."""
    face = dict(facecolor="#DCE9F2", edgecolor=INK, linewidth=1)
    if len(shape) == 1:
        width = min(0.15 + 0.09 * np.log2(shape[0]), 1.2)
        axis.add_patch(plt.Rectangle((-width / 2, y - 0.07), width, 0.14, **face))
        return
    side = 0.25 + 0.75 * shape[-1] / 32
    for back in range(min(int(np.log2(shape[0])) + 1, 6), -1, -1):
        corner = (-side / 2 + 0.02 * back, y - 0.13 * side + 0.02 * back)
        axis.add_patch(plt.Rectangle(corner, side, 0.22 * side, **face))
