"""Networks that the paper has not: normalized ones, a small residual network, a small vision transformer.

`models.build` draws their linear and convolutional layers as Table VIII says; the rest is PyTorch's.
"""

from collections.abc import Callable

import torch
from torch import nn

from ..models import Dropout
from .ghost import GhostBatchNorm1d, GhostBatchNorm2d

GROUPS = 4  # of channels, in group normalization: four to a group in the first stage


def _normalized_mlp(norm: Callable[[int], nn.Module]) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Linear(20, 64), norm(64), nn.ReLU(), Dropout(0.2, (64,))),
        *(nn.Linear(64, 32), norm(32), nn.ReLU(), Dropout(0.2, (32,))),
        nn.Linear(32, 2),
    )


def mlp_batch_norm() -> nn.Sequential:
    """The paper's network for the synthetic sets with batch normalization, [n, 20] -> [n, 2]."""
    return _normalized_mlp(nn.BatchNorm1d)


def mlp_ghost_norm() -> nn.Sequential:
    """The same with ghost batch normalization."""
    return _normalized_mlp(GhostBatchNorm1d)


class Block(nn.Module):
    """Two 3x3 convolutions and a way around them (He et al. 2016), [n, from, h, w] -> [n, to, h/s, w/s]."""

    def __init__(self, before: int, after: int, stride: int, norm: Callable[[int], nn.Module]):
        super().__init__()
        self.inner = nn.Sequential(
            *(nn.Conv2d(before, after, 3, stride, 1, bias=False), norm(after), nn.ReLU()),
            *(nn.Conv2d(after, after, 3, 1, 1, bias=False), norm(after)),
        )
        around = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), norm(after))
        self.around = nn.Identity() if before == after else around

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.inner(x) + self.around(x))


def _resnet_8(norm: Callable[[int], nn.Module]) -> nn.Sequential:
    """ResNet-8 for CIFAR-10 (He et al. 2016, Section 4.2 with n = 1), [n, 3, 32, 32] -> [n, 10]."""
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1, bias=False), norm(16), nn.ReLU()),
        *(Block(16, 16, 1, norm), Block(16, 32, 2, norm), Block(32, 64, 2, norm)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
    )


def resnet_8_batch_norm() -> nn.Sequential:
    return _resnet_8(nn.BatchNorm2d)


def resnet_8_ghost_norm() -> nn.Sequential:
    return _resnet_8(GhostBatchNorm2d)


def resnet_8_group_norm() -> nn.Sequential:
    """With group normalization (Wu & He 2018), which knows no other sample of the batch."""
    return _resnet_8(lambda channels: nn.GroupNorm(GROUPS, channels))


class SmallViT(nn.Module):
    """A vision transformer (Dosovitskiy et al. 2021) for CIFAR-10, [n, 3, 32, 32] -> [n, 10].

    64 patches of 4x4 pixels, four layers of width 64 with four heads, mean over the patches; no dropout.
    """

    def __init__(self, width: int = 64, depth: int = 4, heads: int = 4, patch: int = 4):
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.positions = nn.Parameter(0.02 * torch.randn(1, (32 // patch) ** 2, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), enable_nested_tensor=False)
        self.classes = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        return self.classes(self.layers(tokens).mean(1))
