"""The three networks: sizes, shapes, initial weights, dropout."""

import math

import pytest
import torch
from torch import nn

import reference
from bbatch import models
from bbatch.errors import BadInput

INPUTS = {"mlp": (20,), "mnist-cnn": (1, 28, 28), "cifar-cnn": (3, 32, 32)}
PLAIN = {"mlp": "synthetic-1k", "mnist-cnn": "mnist", "cifar-cnn": "cifar10"}
# weights and biases, layer by layer, from Section III-B with padding 1
COUNTS = {
    "mlp": 20 * 64 + 64 + 64 * 32 + 32 + 32 * 2 + 2,
    "mnist-cnn": 9 * 32 + 32 + 9 * 32 * 64 + 64 + 9 * 64 * 128 + 128 + 128 * 14 * 14 * 10 + 10,
    "cifar-cnn": 9 * 3 * 32 + 32 + 9 * 32 * 64 + 64 + 9 * 64 * 128 + 128 + 128 * 10 + 10,
}


@pytest.mark.parametrize("name, stated", [("mlp", 3_490), ("mnist-cnn", 343_562), ("cifar-cnn", 94_538)])
def test_parameter_counts(name, stated):
    assert models.parameter_count(models.build(name, 0)) == COUNTS[name] == stated
    frozen = models.build(name, 0)
    frozen[0].weight.requires_grad_(False)
    assert models.parameter_count(frozen) == stated - frozen[0].weight.numel()


@pytest.mark.parametrize("name", models.NETWORKS)
def test_shapes_and_values_in_eval_mode(name):
    """The same function as the plain network's, which applies ReLU before pooling, as printed."""
    net = models.build(name, 1).eval()
    x = torch.randn(5, *INPUTS[name], generator=torch.Generator().manual_seed(0))
    plain = reference.network(PLAIN[name], net.parameters())
    with torch.no_grad():
        logits = net(x)
        assert logits.shape == (5, 2 if name == "mlp" else 10)
        assert torch.allclose(logits, plain(x, [torch.ones(1), torch.ones(1)]), atol=1e-6)


def test_pooling_before_relu_gives_the_same_values_and_gradients():
    x = torch.randn(8, 16, 10, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weight = torch.randn(8, 16, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours, printed = x.clone().requires_grad_(), x.clone().requires_grad_()
    a = nn.functional.relu(nn.functional.max_pool2d(ours, 2))
    b = nn.functional.max_pool2d(nn.functional.relu(printed), 2)
    assert torch.equal(a, b)
    (a * weight).sum().backward()
    (b * weight).sum().backward()
    assert torch.equal(ours.grad, printed.grad) and ours.grad.abs().max() > 0


@pytest.mark.parametrize("name", models.NETWORKS)
def test_initial_weights_are_uniform_within_one_over_root_fan_in(name):
    net = models.build(name, 42)
    layers = [m for m in net if isinstance(m, (nn.Linear, nn.Conv2d))]
    assert len(layers) == (3 if name == "mlp" else 4)
    for layer in layers:
        fan_in = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels * 9
        bound = 1 / math.sqrt(fan_in)
        values = layer.weight.detach().double().flatten()
        assert max(values.abs().max(), layer.bias.detach().abs().max()) <= bound * (1 + 1e-6)
        assert values.abs().max() > 0.9 * bound
        # mean 0 and standard deviation bound / sqrt(3), within five standard errors
        assert abs(values.mean()) < 5 * bound / math.sqrt(3 * len(values))
        assert abs(values.std() / (bound / math.sqrt(3)) - 1) < 5 / math.sqrt(len(values))


def test_initial_weights_follow_the_seed():
    one, again, other = (models.build("mlp", seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[k], again[k]) and not torch.equal(one[k], other[k]) for k in one)


def test_dropout_uses_the_mask_laid_in():
    layer = models.Dropout(0.25, (2, 3, 4)).train()
    x = torch.ones(5, 4, 2, 3)  # NCHW, as the network sees it
    bits = torch.full((5, 24), 32767, dtype=torch.int16)
    bits[1, 0] = -32768  # the first place in memory order: row 0, column 0, channel 0
    bits[2, 5] = -32768  # row 0, column 1, channel 1
    layer.cut_mask(bits)
    dropped = [tuple(i) for i in (layer(x) == 0).nonzero().tolist()]
    assert dropped == [(1, 0, 0, 0), (2, 1, 0, 1)]
    assert torch.allclose(layer(x)[0], torch.full((4, 2, 3), 1 / 0.75))
    assert torch.equal(layer.eval()(x), x)


def test_dropout_without_a_mask_is_that_of_pytorch():
    layer = models.Dropout(0.2, (64,)).train()
    x = torch.ones(1000, 64)
    torch.manual_seed(0)
    ours = layer(x)
    torch.manual_seed(0)
    assert torch.equal(ours, nn.functional.dropout(x, 0.2))


def test_an_unknown_network_is_refused():
    with pytest.raises(BadInput, match="network 'vgg' is unknown; allowed are mlp, mnist-cnn, cifar-cnn"):
        models.build("vgg", 0)
