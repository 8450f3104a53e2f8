"""The added networks: shapes, sizes counted by hand, and which samples each output depends on."""

from dataclasses import replace

import pytest
import torch

from bbatch import beyond, config, engines, models  # noqa: F401
from factories import tiny

IMAGES = [name for name in models.NETWORKS if name.startswith(("resnet", "small"))]


def resnet_8(affine):
    """Weights of convolutions and classifier, and `affine` parameters for each normalized channel."""
    convolutions = 9 * (3 * 16 + 2 * 16 * 16 + 16 * 32 + 32 * 32 + 32 * 64 + 64 * 64) + 16 * 32 + 32 * 64
    channels = 16 + 2 * 16 + 3 * 32 + 3 * 64
    return convolutions + affine * channels + 64 * 10 + 10


def test_sizes_by_hand():
    found = {name: models.parameter_count(models.build(name, 0)) for name in (*IMAGES, "mlp-batch-norm")}
    assert {found[f"resnet-8-{norm}-norm"] for norm in ("batch", "ghost", "group")} == {resnet_8(2)}
    width = 64
    layer = 4 * width * (width + 1) + 2 * width * 2 * width + 3 * width + 4 * width
    patches, places = width * 48 + width, 64 * width
    assert found["small-vit"] == patches + places + 4 * layer + 2 * width + 10 * width + 10
    assert found["mlp-batch-norm"] == 3_490 + 2 * (64 + 32)


@pytest.mark.parametrize("name", IMAGES)
def test_ten_outputs_that_every_pixel_moves(name):
    net = models.build(name, 0).eval()
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    out = net(x)
    assert out.shape == (2, 10)
    out[0].sum().backward()
    assert (x.grad[0] != 0).all() and (x.grad[1] == 0).all()


def test_only_batch_normalization_mixes_the_samples_of_a_batch():
    x = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    other = torch.cat([x[:1], x[1:32] + 1, x[32:]])
    last = torch.cat([x[:63], x[63:] + 1])
    for name, of_part, of_others in (
        ("resnet-8-batch-norm", True, True),
        ("resnet-8-ghost-norm", True, False),
        ("resnet-8-group-norm", False, False),
        ("small-vit", False, False),
    ):
        net = models.build(name, 0).train()
        with torch.no_grad():
            first, moved, far = (net(batch)[0] for batch in (x, other, last))
        assert (not torch.allclose(first, moved, atol=1e-4)) is of_part, name
        assert (not torch.allclose(first, far, atol=1e-6)) is of_others, name


def test_a_transformer_knows_where_a_patch_was():
    net = models.build("small-vit", 0).eval()
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(net(x), net(x.roll(4, -1)), atol=1e-5)
    with torch.no_grad():
        net.positions.zero_()
    assert torch.allclose(net(x), net(x.roll(4, -1)), atol=1e-5)


@pytest.mark.parametrize("name", IMAGES)
def test_each_learns_images_through_the_engine(name):
    """Images whose brightness tells their class."""
    source = replace(tiny("cifar10", n_train=128, n_test=20), augment=False)
    run = config.plan("cifar10", 32, epochs=4, n_train=128, network=name, base_lr=0.003)
    engine = engines.engine_for(run, source, "cpu")
    losses = [engine.train_epoch(epoch)[0] for epoch in range(4)]
    assert losses[-1] < 0.95 * losses[0]
