"""Small networks and losses whose geometry is known, for the tests of landscape, sharpness, hessian and noise."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bbatch.errors import BadInput


class Point(nn.Module):
    """A network that answers with its own parameters, so that any function of them can be its loss."""

    def __init__(self, start):
        super().__init__()
        self.w = nn.Parameter(torch.as_tensor(start, dtype=torch.float64))

    def forward(self, x):
        return self.w.expand(len(x), -1)


def quadratic(hessian, slope):
    """loss(outputs, targets) for a `Point` at the origin: slope·w + wᵀ H w / 2, with the one sample that goes with it."""

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
    """`measure(net, loss, inputs, targets)` refuses, in a sentence, all that no measurement of geometry can take."""
    net, x, y = small_mlp()
    loss = F.cross_entropy
    refused(lambda: measure(net.train(), loss, x, y), "train mode")
    net.eval()[2].train()  # a part of it is enough
    refused(lambda: measure(net, loss, x, y), "train mode")
    refused(
        lambda: measure(nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3)).double().eval(), loss, x, y),
        "layer '1' is batch normalisation",
    )
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
        ((net, "x", x, y), "the loss is 'x'; give a function"),
        ((net, loss, x.numpy(), y), "a ndarray was given as inputs; it must be a torch Tensor"),
        ((net, loss, x, y.tolist()), "a list was given as targets"),
        ((net, loss, x[:, :3], y), "the loss cannot be computed .*; network, inputs, targets and loss must"),
        ((net, loss, x, y + 3), "the loss cannot be computed .*out of bounds"),
        ((net, nn.CrossEntropyLoss(reduction="none"), x, y), "the loss gives more than one number"),
    ):
        refused(lambda: measure(*given), said)
