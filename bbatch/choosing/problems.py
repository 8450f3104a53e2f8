"""What the ways to choose a batch size are tried on: the data sets of the paper, small parts of its two sets
of images, three sets that it never touched, a text, and a regression.

A problem trains its network at a batch size and a learning rate, through the engines of the package: to
decide (on the training samples less a fifth, judged on that fifth) or to be judged (on all training samples
and the test set). The sets from scikit-learn come with it and follow the paper's protocol for its synthetic
sets: that network with as many inputs and outputs as they need, Adam, 50 epochs, the same grid of batch
sizes, an 80/20 split with seed 42, standardized features.

A grid over the whole of MNIST or CIFAR-10, ten seeds each, takes days on a CPU. `mnist-512` and `cifar10-512`
are what a CPU allows: 512 of the training images and 512 of the test images, drawn once with seed 42, the
protocol's network, optimizer, epochs, rates and warm-up, the batch sizes of its grid up to 512 (where a batch
is an epoch), bf16 arithmetic. What is best on them need not be best on the whole sets; and N decides which
branch of Algorithm 2 is taken.

`text`: the character that follows 32 others in Python's own reference (which comes with it, in slightly other
words from version to version), by a small transformer. `friedman`: Friedman's first function of ten features
with noise, scored by the share of the variance that is explained. Both in plain PyTorch, 20 epochs of Adam.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from .. import data, published, streams
from ..config import DATASETS, SYNTHETIC, Protocol, plan
from ..data import Data
from ..errors import one_of
from ..models import NETWORKS
from ..trainer import train
from .task import Task
from .training import Fit, fit

BORROWED = {"digits": "Digits", "breast-cancer": "Breast cancer", "wine": "Wine"}  # from scikit-learn
# Images to train on, and to test on: the fewest that leave all but the largest batch size of the grid.
IMAGES = 512
PARTS = {f"{name}-{IMAGES}": name for name in ("mnist", "cifar10")}
PLAIN = {"text": "Text", "friedman": "Friedman #1"}  # trained in plain PyTorch
WINDOW, WINDOWS = 32, 4000  # characters, and as many samples
PROBLEMS = {
    **{name: spec.title for name, spec in DATASETS.items()},
    **{part: f"{DATASETS[name].title}, {IMAGES} images" for part, name in PARTS.items()},
    **BORROWED,
    **PLAIN,
}
HELD_OUT = 0.2  # of the training samples, to decide by


@dataclass(frozen=True)
class Problem:
    """`train(batch_size, lr, epochs, seed, data, warmup_epochs)`: a `Fit` judged on the test part of `data`,
    and the test accuracy after each epoch. `whole`: all training samples and the test set; `split`: a fifth
    of the training samples in the place of the test set. `base_lr`: the protocol's rate at a batch of 32."""

    name: str
    whole: Data
    split: Data
    network: Callable[[], nn.Module]
    batch_sizes: tuple[int, ...]
    epochs: int
    optimizer: str
    base_lr: float
    train: Callable[..., Fit] | None

    loss: Callable | None = None

    def task(self, on: Data | None = None, metric: Callable | None = None) -> Task:
        """The problem as readers pose theirs, in plain PyTorch (augmentation left out): of deciding, or on
        other data."""
        d = on or self.split
        pairs = ((d.inputs(x), y) for x, y in ((d.train_x, d.train_y), (d.test_x, d.test_y)))
        return Task(self.network, *pairs, self.loss, self.optimizer, metric)

    def train_plainly(
        self, batch_size: int, lr: float, epochs: float, seed: int, on: Data, warmup_epochs: int | None = None
    ) -> Fit:
        """As `train`, in plain PyTorch; a regression is scored by the variance that it explains."""
        task = self.task(on, explained if self.loss else None)
        return fit(task, batch_size, lr, max(1, math.ceil(epochs)), seed, warmup_epochs=warmup_epochs or 0)


def protocol(name: str) -> Protocol:
    """The column of Table II that a problem follows; that of the synthetic sets for those that the paper has
    not."""
    if name in PLAIN:
        return replace(DATASETS[SYNTHETIC[0]].protocol, epochs=20)
    return DATASETS[SYNTHETIC[0] if name in BORROWED else PARTS.get(name, name)].protocol


def base_rate(name: str) -> float:
    """The rate at a batch of 32 that a problem's protocol has, Eq. (2) applied."""
    p = protocol(name)
    return p.base_lr * published.value("vi-base-batch") / p.base_batch


@cache
def problem(name: str) -> Problem:
    """The named problem, one of `PROBLEMS`. Raises `BadInput` for another name, `DataMissing` without its
    files."""
    one_of("problem", name, PROBLEMS)
    p, source, loss = protocol(name), PARTS.get(name, name), None
    if name in PLAIN:
        whole, network, loss = _text() if name == "text" else _friedman()
        learn = None
    elif name in BORROWED:
        whole = _borrowed(name)
        widths = (whole.train_x.shape[1], 64, 32, int(whole.train_y.max()) + 1)
        network, learn = partial(_dense, widths), partial(_train_dense, widths)
    else:
        whole = _part(data.load(source)) if name in PARTS else data.load(source)
        network, precision = NETWORKS[DATASETS[source].network], "bf16" if name in PARTS else "fp32"
        learn = partial(_train_paper, source, precision=precision)
    sizes = tuple(b for b in p.batch_sizes if b <= len(whole.train_y) and (b > 1 or name not in PLAIN))
    rate = base_rate(name)
    made = Problem(name, whole, _split(whole), network, sizes, p.epochs, p.optimizer, rate, learn, loss)
    return made if learn else replace(made, train=made.train_plainly)


def _part(whole: Data) -> Data:
    """`IMAGES` of the training and of the test images, drawn with seed 42."""
    generator = torch.Generator().manual_seed(42)
    train, test = (
        torch.randperm(len(y), generator=generator)[:IMAGES] for y in (whole.train_y, whole.test_y)
    )
    return replace(
        whole,
        train_x=whole.train_x[train],
        train_y=whole.train_y[train],
        test_x=whole.test_x[test],
        test_y=whole.test_y[test],
    )


def _split(whole: Data) -> Data:
    """The training samples alone, a seeded fifth of them as the test part."""
    order = torch.randperm(len(whole.train_y), generator=torch.Generator().manual_seed(42))
    out, kept = order.split([round(HELD_OUT * len(order)), len(order) - round(HELD_OUT * len(order))])
    return replace(
        whole,
        train_x=whole.train_x[kept],
        train_y=whole.train_y[kept],
        test_x=whole.train_x[out],
        test_y=whole.train_y[out],
    )


def _borrowed(name: str) -> Data:
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    x, y = getattr(datasets, f"load_{name.replace('-', '_')}")(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(x, y, test_size=0.2, random_state=42)
    parts = data.standardised(train_x, test_x)
    return data.made(name, "scikit-learn", parts[0], train_y, parts[1], test_y)


class NextCharacter(nn.Module):
    """A transformer layer over `WINDOW` characters, int64 [n, WINDOW], and the logits of the one after, [n,
    characters]."""

    def __init__(self, characters: int, width: int = 32):
        super().__init__()
        self.characters, self.places = nn.Embedding(characters, width), nn.Embedding(WINDOW, width)
        self.layer = nn.TransformerEncoderLayer(width, 2, 2 * width, 0.1, batch_first=True)
        self.out = nn.Linear(width, characters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.layer(self.characters(x) + self.places.weight)[:, -1])


def _text() -> tuple[Data, Callable, None]:
    from pydoc_data.topics import topics

    text = " ".join(" ".join(topics[name] for name in sorted(topics)).lower().split())
    known = " abcdefghijklmnopqrstuvwxyz.,()_'"
    code = np.array([known.find(c) + 1 for c in text])  # 0: any other character
    x = np.lib.stride_tricks.sliding_window_view(code, WINDOW + 1)
    x = x[
        np.linspace(0, len(x) - 1, WINDOWS + WINDOWS // 4).astype(int)
    ]  # the last fifth of the text is the test set
    train, test = np.split(np.ascontiguousarray(x, np.int64), [WINDOWS])
    whole = data.made("text", "Python's reference", train[:, :-1], train[:, -1], test[:, :-1], test[:, -1])
    return whole, partial(NextCharacter, len(known) + 1), None


def _friedman() -> tuple[Data, Callable, Callable]:
    from sklearn.datasets import make_friedman1

    x, y = make_friedman1(2500, noise=1.0, random_state=42)
    x, y = (
        (2 * x - 1).astype(np.float32),
        ((y - y[:2000].mean()) / y[:2000].std()).astype(np.float32)[:, None],
    )
    parts = (x[:2000], y[:2000], x[2000:], y[2000:])
    whole = Data(
        "friedman", "scikit-learn make_friedman1", data.fingerprint(*parts), *map(torch.from_numpy, parts)
    )
    return whole, partial(_dense, (10, 64, 32, 1)), nn.functional.mse_loss


def explained(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    """Share of the targets' variance that outputs explain, in percent."""
    return 100 * (1 - ((outputs - targets) ** 2).mean() / ((targets - targets.mean()) ** 2).mean()).item()


def _train_paper(
    name: str,
    batch_size: int,
    lr: float,
    epochs: float,
    seed: int,
    on: Data,
    warmup_epochs: int | None = None,
    precision: str = "fp32",
) -> Fit:
    """One run of the paper's protocol at any rate; whole epochs, warm-up as the protocol has it unless
    given."""
    run = plan(
        name,
        batch_size,
        seed,
        epochs=max(1, math.ceil(epochs)),
        base_lr=lr,
        lr_rule="constant",
        n_train=len(on.train_y),
        precision=precision,
    )
    if warmup_epochs is not None:
        run = replace(run, warmup_epochs=warmup_epochs)
    out = train(run, on)
    n, h = len(on.test_y), out.history
    return Fit(
        batch_size,
        lr,
        run.warmup_epochs,
        run.epochs,
        seed,
        100 * out.final["train_correct"] / run.n_train,
        100 * out.final["test_correct"] / n,
        out.final["test_loss"],
        sum(h["seconds"]),
        sum(h["cpu_seconds"]),
        True,
        out.final["diverged_epoch"] is not None,
        tuple(100 * c / n for c in h["test_correct"]),
    )


def _dense(widths: tuple[int, ...], seed: int | None = None) -> nn.Sequential:
    """The synthetic network at other widths; with a seed, its weights drawn as `models.build` draws them."""
    d, h1, h2, c = widths
    net = nn.Sequential(
        nn.Linear(d, h1),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(h1, h2),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(h2, c),
    )
    if seed is not None:
        rng = np.random.default_rng(seed)
        with torch.no_grad():
            for layer in (net[0], net[3], net[6]):
                for p in (layer.weight, layer.bias):
                    bound = 1 / math.sqrt(layer.in_features)
                    p.copy_(torch.from_numpy(rng.uniform(-bound, bound, tuple(p.shape)).astype(np.float32)))
    return net


def _train_dense(
    widths, batch_size: int, lr: float, epochs: float, seed: int, on: Data, warmup_epochs: int | None = None
) -> Fit:
    """One training of the network at these widths with the compiled loop, by the streams of a run; no
    warm-up."""
    from ..engines.kernels import epoch_of_adam

    seeds, n = streams.seeds_of(seed), len(on.train_y)
    net = _dense(widths, seeds.init)
    flat = np.concatenate(
        [a.detach().numpy().ravel() for k in (0, 3, 6) for a in (net[k].weight.T, net[k].bias)]
    )
    moments, steps, curve, cpu, seconds = np.zeros((2, flat.size), np.float32), 0, [], 0.0, 0.0
    net.eval()
    for epoch in range(max(1, math.ceil(epochs))):
        begun, worked = time.perf_counter(), time.process_time()
        generator = torch.Generator().manual_seed(streams.noise_seed(seeds, epoch))
        bits = streams.noise_bits((n, widths[1] + widths[2]), generator).numpy()
        torch.set_flush_denormal(True)
        loss, _ = epoch_of_adam(
            flat,
            moments,
            widths,
            on.train_x.numpy(),
            on.train_y.numpy(),
            streams.order(seeds, epoch, n),
            bits,
            0.2,
            batch_size,
            lr,
            steps,
        )
        torch.set_flush_denormal(False)
        steps += math.ceil(n / batch_size)
        seconds, cpu = seconds + time.perf_counter() - begun, cpu + time.process_time() - worked
        _lay(net, flat, widths)
        curve.append(_judge(net, on.test_x, on.test_y)[1])
        if not math.isfinite(loss):
            break
    test_loss, test = _judge(net, on.test_x, on.test_y)
    return Fit(
        batch_size,
        lr,
        0,
        len(curve),
        seed,
        _judge(net, on.train_x, on.train_y)[1],
        test,
        test_loss,
        seconds,
        cpu,
        True,
        not math.isfinite(loss),
        tuple(curve),
    )


def _lay(net: nn.Sequential, flat: np.ndarray, widths) -> None:
    """Put the loop's flat weights, [in, out] layer by layer, into the network."""
    at = 0
    with torch.no_grad():
        for k, (i, o) in zip((0, 3, 6), pairwise(widths), strict=True):
            net[k].weight.copy_(torch.from_numpy(flat[at : at + i * o].reshape(i, o)).T)
            net[k].bias.copy_(torch.from_numpy(flat[at + i * o : at + i * o + o]))
            at += i * o + o


@torch.inference_mode()
def _judge(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
    out = net(x)
    return nn.functional.cross_entropy(out, y).item(), 100 * (out.argmax(1) == y).float().mean().item()
