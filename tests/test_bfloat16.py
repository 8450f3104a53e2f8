"""Layers in bfloat16: exact sums of rounded numbers, rounded; and what autocast computes by itself."""

import pytest
import torch
from torch.nn import functional as F

from bbatch import bfloat16

ULP = 2.0**-8  # of a number rounded to bfloat16, relative


def drawn(*shape, seed=0, **more):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_(**more)


def rounded(x):
    return x.detach().bfloat16().double()


@pytest.fixture
def without(monkeypatch):
    monkeypatch.setattr(bfloat16, "has_instructions", lambda: False)


CASES = {
    "linear": (F.linear, (6, 40), (5, 40)),
    "convolution": (lambda x, w, b: F.conv2d(x, w, b, padding=1), (2, 8, 6, 6), (5, 8, 3, 3)),
    "named": (lambda x, w, b: F.linear(x, weight=w, bias=b), (6, 40), (5, 40)),
}


@pytest.mark.parametrize(("layer", "shape", "weights"), CASES.values(), ids=CASES)
def test_exact_sums_of_rounded_numbers_rounded(without, layer, shape, weights):
    x, w, b = drawn(*shape), drawn(*weights, seed=1), drawn(weights[0], seed=2)
    with bfloat16.layers_in_bf16("cpu"):
        found = layer(x, w, b)
    assert found.dtype == torch.bfloat16
    exact = [rounded(part).requires_grad_() for part in (x, w, b)]
    wanted = layer(*exact)
    torch.testing.assert_close(found.double(), wanted, rtol=ULP, atol=1e-5)
    assert not torch.allclose(layer(x, w, b).double(), wanted, rtol=1e-4)  # 32 bits give other sums
    weight = torch.randn(found.shape, generator=torch.Generator().manual_seed(3)).bfloat16()
    got = torch.autograd.grad(found, (x, w, b), weight)
    for mine, reference in zip(got, torch.autograd.grad(wanted, exact, weight.double()), strict=True):
        assert mine.dtype == torch.float32 and torch.equal(mine, mine.bfloat16().float())
        torch.testing.assert_close(mine.double(), reference, rtol=ULP, atol=1e-4)


def test_a_network_is_what_autocast_makes_of_it(without):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten())
    net.append(torch.nn.Linear(8 * 6 * 6, 4))
    x, answers = drawn(4, 3, 8, 8), torch.tensor([0, 1, 2, 3])

    def loss_and_gradients(context):
        with context:
            logits = net(x)
        loss = F.cross_entropy(logits.float(), answers)
        return logits, torch.autograd.grad(loss, list(net.parameters()))

    mine, gradients = loss_and_gradients(bfloat16.layers_in_bf16("cpu"))
    theirs, wanted = loss_and_gradients(torch.autocast("cpu", torch.bfloat16))
    assert mine.dtype == theirs.dtype == torch.bfloat16
    torch.testing.assert_close(mine, theirs, rtol=2 * ULP, atol=1e-2)
    for a, b in zip(gradients, wanted, strict=True):
        assert (a - b).norm() < 0.02 * b.norm()


def test_a_processor_that_has_it_and_32_bits_are_left_to_pytorch(monkeypatch):
    def never(*_):
        raise AssertionError("rounded by us")

    monkeypatch.setattr(bfloat16, "_rounded", never)
    x, w = drawn(2, 3), drawn(4, 3, seed=1)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    with bfloat16.layers_in_bf16("cpu"):
        assert F.linear(x, w).dtype == torch.bfloat16
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    with bfloat16.layers_in_bf16("cpu", enabled=False):
        assert F.linear(x, w).dtype == torch.float32
    with bfloat16.layers_in_bf16("cpu"), pytest.raises(AssertionError, match="rounded by us"):
        F.linear(x, w)
