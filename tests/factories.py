"""What several test files make: samples, records, networks and losses whose geometry is known."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import reference
from bbatch import config, data, engines, image_files, streams, trainer
from bbatch.config import DATASETS, plan
from bbatch.errors import BadInput
from bbatch.models import NETWORKS, Dropout
from bbatch.recipe import network_of, recipe_of

IMAGES = {"mnist": (28, 28, 1), "cifar10": (32, 32, 3)}
FILES = {
    "mnist": [f"MNIST/raw/{f}" for f in image_files.MNIST_FILES],
    "cifar10": ["cifar-10-batches-py/data_batch_1", *image_files.CIFAR10_PACKED],
}


def tiny(name: str, n_train: int = 600, n_test: int = 100) -> data.Data:
    """Random samples in the form of a data set, 20 features or uint8 images that tell their labels."""
    rng = np.random.default_rng(7)
    n, classes = n_train + n_test, DATASETS[name].classes
    y = rng.integers(0, classes, n)
    if name in IMAGES:
        x = rng.integers(0, 200, (n, *IMAGES[name]), dtype=np.uint8)
        x += (5 * y).astype(np.uint8)[:, None, None, None]
        more = {
            "stats": {"mnist": data.MNIST_STATS, "cifar10": data.CIFAR10_STATS}[name],
            "augment": name == "cifar10",
        }
    else:
        x, more = rng.standard_normal((n, 20)).astype(np.float32), {}
        x[:, :5] += y[:, None]
    return data.made(name, "random numbers", x[:n_train], y[:n_train], x[n_train:], y[n_train:], **more)


def engine_of(kind, run, samples, device="cpu"):
    """An engine of this kind for a run in the paper's names."""
    return kind(network_of(run), samples, recipe_of(run), device)


def state_after_one_epoch(run, samples, made_by: str) -> dict:
    """What the trainer leaves in a checkpoint after the first epoch, on the CPU; its history is made up."""
    engine = engines.engine_for(run, samples, "cpu")
    engine.train_epoch(0)
    history = {name: [0.5] for name in trainer.HISTORY}
    return {"made_by": made_by, "history": history, "engine": engine.state()}


def record(
    dataset="synthetic-1k",
    batch_size=8,
    seed=42,
    test_correct=190,
    running=780,
    clean=790,
    seconds=2.0,
    **more,
):
    """A record as `worker.compute` writes it, with chosen counts."""
    run = plan(dataset, batch_size, seed, **more)
    n_test = DATASETS[dataset].n_test

    def later(value):  # in every epoch but the first
        return [value] * (run.epochs - 1)

    return {
        "id": run.key("f"),
        "run": run.as_dict(),
        "seeds": {"init": 1, "order": 2, "noise": 3},
        "data": {"source": "made up", "fingerprint": "f", "n_test": n_test},
        "history": {
            "train_loss": [0.5, *later(0.4)],
            "train_correct": [running - 10, *later(running)],
            "test_loss": [0.5, *later(0.45)],
            "test_correct": [n_test // 2, *later(test_correct)],
        },
        "final": {
            "train_loss": 0.3,
            "train_correct": clean,
            "test_loss": 0.45,
            "test_correct": test_correct,
            "diverged_epoch": None,
        },
        "observed": {
            "seconds": [seconds] * run.epochs,
            "cpu_seconds": [seconds / 2] * run.epochs,
            "evaluate_seconds": [0.1] * run.epochs,
            "device": "cpu",
            "device_name": "a processor",
            "threads": 1,
            "commit": "abc",
            "python": "3.11",
            "system": "linux",
            "versions": {"torch": "2", "numpy": "2", "scikit-learn": "1"},
            "engine": "compiled",
            "started": "2026-01-01T00:00:00+00:00",
            "finished": "2026-01-02T00:00:00+00:00",
        },
    }


def record_of_four_epochs(
    batch=32,
    seed=42,
    test=(150, 160, 161, 170),
    running=(400, 500, 600, 640),
    train=700,
    seconds=(2.0, 1.0, 1.0, 4.0),
    diverged=None,
    **more,
):
    """A record of four epochs on synthetic-1k: 800 training and 200 test samples."""
    run = plan("synthetic-1k", batch, seed, epochs=4, **more)
    return {
        "id": run.key("f" * 64),
        "run": run.as_dict(),
        "seeds": {"init": 1, "order": 2, "noise": 3},
        "data": {"source": "somewhere", "fingerprint": "f" * 64, "n_test": 200},
        "history": {
            "train_loss": [0.4, 0.3, 0.2, 0.1],
            "train_correct": list(running),
            "test_loss": [0.5, 0.4, 0.3, 0.3],
            "test_correct": list(test),
        },
        "final": {
            "train_loss": 0.1,
            "train_correct": train,
            "test_loss": 0.3,
            "test_correct": test[-1],
            "diverged_epoch": diverged,
        },
        "observed": {
            "seconds": list(seconds),
            "evaluate_seconds": [9.0] * 4,
            "device": "cpu",
            "commit": "abc",
            "engine": "torch",
            "device_name": "a processor",
            "started": "2026-01-01T08:00:00+00:00",
        },
    }


DROPOUT = {"synthetic-1k": 0.2, "mnist": 0.25}  # Section III-B


def reference_epochs(run, dataset, dropout, dtype, device="cpu"):
    """What each epoch feeds the plain loop: inputs, labels and masks in their order, drawn as `streams`
    documents.

    From the epoch's one generator: shifts (across, then down), then flips, then a row of mask bits a sample,
    layer after layer, images channels last.
    """
    seeds, n = streams.seeds_of(run.seed), run.n_train
    chosen = streams.subset(seeds, len(dataset.train_y), n)
    shapes = [m.shape for m in NETWORKS[config.DATASETS[run.dataset].network]() if isinstance(m, Dropout)]
    widths = [math.prod(shape) for shape in shapes]
    for epoch in range(run.epochs):
        order = torch.from_numpy(chosen[streams.order(seeds, epoch, n)])
        generator = torch.Generator(device).manual_seed(streams.noise_seed(seeds, epoch))
        x, y, masks = dataset.train_x[order], dataset.train_y[order], []
        if dataset.stats:
            x = x.permute(0, 3, 1, 2)
        if dataset.augment:
            across, down = torch.randint(0, 9, (2, n), generator=generator, device=device).tolist()
            flips = torch.randint(0, 2, (n,), generator=generator, device=device).tolist()
            x = torch.stack(
                [reference.crop_and_flip(*one) for one in zip(x, across, down, flips, strict=True)]
            )
        if dataset.stats:
            x = reference.normalize(x, *dataset.stats, dtype)
        if shapes:
            p = DROPOUT[run.dataset]
            bits = streams.noise_bits((n, sum(widths)), generator).cpu()
            for shape, part in zip(shapes, bits.split(widths, dim=1), strict=True):
                mask = streams.keep(part, p) / (1 - p) if dropout else torch.ones(part.shape)
                mask = mask.to(dtype).view(n, *shape)
                masks.append(mask.permute(0, 3, 1, 2) if len(shape) == 3 else mask)
        yield x, y, masks


# A reader's network and data, as the choice of a batch size takes them.
AMPLE = 3600.0  # seconds: a budget that no busy machine exhausts, where the budget is not what is tested
RNG = np.random.default_rng(5)
X = torch.from_numpy(RNG.standard_normal((400, 6)).astype(np.float32))
Y = (X[:, 0] + X[:, 1] > 0).long()
TRAIN, HELD = (X[:300], Y[:300]), (X[300:], Y[300:])
MODULE = """
import torch
from torch import nn
make = lambda: nn.Sequential(nn.Linear(6, 2))
x = torch.randn(80, 6, generator=torch.Generator().manual_seed(0)); y = (x[:, 0] > 0).long()
data = lambda: ((x[:60], y[:60]), (x[60:], y[60:]))
def short(): return x[:5]
def broken(): raise OSError("gone")
number = 3
"""


def net():
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))


# Networks and losses whose geometry is known.


class Point(nn.Module):
    """A network that answers with its own parameters, so that any function of them can be its loss."""

    def __init__(self, start):
        super().__init__()
        self.w = nn.Parameter(torch.as_tensor(start, dtype=torch.float64))

    def forward(self, x):
        return self.w.expand(len(x), -1)


def quadratic(hessian, slope):
    """loss(outputs, targets) for a `Point` at the origin: slope·w + wᵀ H w / 2, with the one sample that
    goes with it."""

    def loss(outputs, targets):
        w = outputs[0]
        return slope @ w + w @ hessian @ w / 2

    return loss, torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.int64)


def small_mlp(seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    net = (
        nn.Sequential(
            nn.Linear(5, 7), nn.ReLU(), nn.Dropout(0.5), nn.Linear(7, 4), nn.ReLU(), nn.Linear(4, 3)
        )
        .to(dtype)
        .eval()
    )
    x = torch.randn(60, 5, dtype=dtype)
    return (
        net,
        x,
        x[:, :3].argmax(1),
    )  # labels that can be learned: else the true gradient is lost in its noise


def small_cnn(seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    net = (
        nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(3, 4, 3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
        )
        .to(dtype)
        .eval()
    )
    y = torch.randint(0, 3, (40,))
    return net, torch.randn(40, 1, 6, 6, dtype=dtype) + y[:, None, None, None], y


def refused(call, said):
    with pytest.raises(BadInput, match=said) as refusal:
        call()
    text = str(refusal.value)
    assert text.endswith(".") and "\n" not in text and text.count(". ") == 0, text


def refuses_what_cannot_be_measured(measure):
    """`measure(net, loss, inputs, targets)` refuses, in a sentence, what no measurement of geometry takes."""
    net, x, y = small_mlp()
    loss = F.cross_entropy
    refused(lambda: measure(net.train(), loss, x, y), "train mode")
    net.eval()[2].train()  # a part of it is enough
    refused(lambda: measure(net, loss, x, y), "train mode")
    net.eval()
    refused(
        lambda: measure(net, lambda o, t: loss(o, t) * float("nan"), x, y),
        "loss at the network's weights is nan",
    )
    refused(lambda: measure(net, loss, x * 1e308, y), "loss at the network's weights is")
    refused(lambda: measure(net, loss, x, y[:-1]), "60 inputs and 59 targets")
    refused(lambda: measure(net, loss, x[:0], y[:0]), "0 inputs and 0 targets")
    refused(lambda: measure(net, loss, x.to("meta"), y), "on cpu and meta; they must be on one device")
    refused(lambda: measure(net.to("meta"), loss, x, y), "on cpu and meta")
    refused(lambda: measure(nn.Flatten().eval(), loss, x, y), "no trainable parameter")
    net, x, y = small_mlp()
    for given, said in (
        ((None, loss, x, y), "a NoneType was given as network; it must be a torch Module"),
        ((net, "x", x, y), "the loss is of type str; give a function"),
        ((net, loss, x.numpy(), y), "a ndarray was given as inputs; it must be a torch Tensor, or a nest"),
        ((net, loss, x, y.tolist()), "a list was given as targets"),
        ((net, loss, x[:, :3], y), r"the model cannot take features of shape \(\d+, 3\)"),
        ((net, loss, x, y + 3), "the loss cannot be computed .*out of bounds"),
        ((net, nn.CrossEntropyLoss(reduction="none"), x, y), "the loss gives no single number"),
    ):
        refused(partial(measure, *given), said)
