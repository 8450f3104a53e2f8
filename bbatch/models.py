"""The paper's three networks (Section III-B), their initialization (Table VIII) and their sizes.

Ambiguities resolved here:

* Padding is 1 in every 3x3 convolution: only then does the MNIST network reach the 128*14*14 inputs that the
  paper gives to its last layer.
* "Kaiming uniform (Conv and Linear)" is read as what PyTorch does when nothing is said, `kaiming_uniform_`
  with a = sqrt(5): weights and biases uniform in +-1/sqrt(fan_in). It is written out here, so that it does
  not hang on a library's default.
* ReLU and max-pooling commute; we pool first, which gives the same values and gradients for a quarter of the
  work. ReLU works in place: a convolution does not need its own output for its gradient.
"""

import hashlib
import math
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import nn

from .errors import one_of
from .streams import keep, noise_bits


class Dropout(nn.Module):
    """Inverted dropout with a mask that the trainer lays in before each step, so that every path drops alike.

    `shape` is the shape of one sample's mask in memory order (channels last for images). With no mask laid
    in, `nn.Dropout`'s behaviour.
    """

    def __init__(self, p: float, shape: tuple[int, ...]):
        super().__init__()
        self.p, self.shape = p, shape
        self.mask: torch.Tensor | None = None  # bool, shaped like the activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.mask is None:
            return nn.functional.dropout(x, self.p, self.training)
        out = x * (self.mask * (1 / (1 - self.p)))
        if (
            out.requires_grad
            and len(self.shape) == 3
            and out.is_contiguous(memory_format=torch.channels_last)
        ):
            # `Flatten` hands back a gradient in another memory order than the activations'; every layer below
            # would pay for the mixture (6 to 9 % of a step).
            out.register_hook(lambda g: g.contiguous(memory_format=torch.channels_last))
        return out

    def cut_mask(self, bits: torch.Tensor) -> None:
        """Lay in the mask that `bits`, int16 [n, prod(shape)], decide."""
        mask = keep(bits.view(len(bits), *self.shape), self.p)
        self.mask = mask.permute(0, 3, 1, 2) if len(self.shape) == 3 else mask

    def extra_repr(self) -> str:
        return f"p={self.p}, shape={self.shape}"


def lay_masks(dropouts: list[Dropout], n: int, generator: torch.Generator) -> None:
    """Draw the masks of `n` samples and lay them in; the layers drop as one draw of bits decides."""
    if dropouts:
        widths = [math.prod(layer.shape) for layer in dropouts]
        bits = noise_bits((n, sum(widths)), generator)
        for layer, part in zip(dropouts, bits.split(widths, dim=1), strict=True):
            layer.cut_mask(part)


def mlp(inputs: int = 20, outputs: int = 2) -> nn.Sequential:
    """Feed-forward network for the synthetic sets, [n, 20] -> [n, 2]; 3,490 parameters."""
    return nn.Sequential(
        nn.Linear(inputs, 64),
        nn.ReLU(),
        Dropout(0.2, (64,)),
        nn.Linear(64, 32),
        nn.ReLU(),
        Dropout(0.2, (32,)),
        nn.Linear(32, outputs),
    )


def mnist_cnn() -> nn.Sequential:
    """Convolutional network for MNIST, [n, 1, 28, 28] -> [n, 10]; 343,562 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
        nn.Conv2d(64, 128, 3, padding=1),
        nn.ReLU(inplace=True),
        Dropout(0.25, (14, 14, 128)),
        nn.Flatten(),
        nn.Linear(128 * 14 * 14, 10),
    )


def cifar_cnn() -> nn.Sequential:
    """Convolutional network for CIFAR-10, [n, 3, 32, 32] -> [n, 10]; 94,538 parameters, no dropout."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
        nn.Conv2d(64, 128, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(128, 10),
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {"mlp": mlp, "mnist-cnn": mnist_cnn, "cifar-cnn": cifar_cnn}


def build(network: str, seed: int) -> nn.Module:
    """The named network with its initial weights drawn from `seed`: the same on every device.

    Linear and convolutional layers are drawn as Table VIII says, whatever network they stand in; layers of
    other kinds as PyTorch draws them. Raises `BadInput` for a name that is not in `NETWORKS`.
    """
    one_of("network", network, NETWORKS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = NETWORKS[network]()
    return initialized(net, seed)


def initialized(net: nn.Module, seed: int) -> nn.Module:
    """The network with the weights of its linear and convolutional layers drawn anew, as Table VIII says."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, (nn.Linear, nn.Conv2d)):
                bound = 1 / math.sqrt(layer.weight[0].numel())  # fan_in: inputs to one output unit
                for p in (layer.weight, layer.bias):
                    if p is not None:
                        drawn = rng.uniform(-bound, bound, tuple(p.shape)).astype(np.float32)
                        p.copy_(torch.from_numpy(drawn))
    return net


# What `_digest` gave for the three networks of the first records, whose addresses hold no digest.
_FIRST = {"mlp": "f1fff4ba7cf66aff", "mnist-cnn": "302bfa957cafaf77", "cifar-cnn": "5d34aaa0fb14ee6b"}

# What a layer computes hangs on these of its attributes. Named here, and not read from PyTorch's printing of
# the layer, which says more from one version to the next (`bias=True` of a normalization).
_SETTINGS = (
    *("kernel_size", "stride", "padding", "dilation", "groups", "output_size", "start_dim"),
    *("num_groups", "eps", "momentum", "affine", "track_running_stats", "least_batch"),
    *("p", "num_heads", "norm_first", "negative_slope", "approximate"),
)
_PLAIN = (bool, int, float, str, tuple)  # of these a setting is; another attribute may have its name


def structure(network: str) -> str | None:
    """16 hex digits for how the named network is built: its layers, their settings (`_SETTINGS`, and what
    layers that are not PyTorch's say in `extra_repr`), shapes, how large its initial weights are; None where
    it is built as it was for the first records. The same under each version of PyTorch and on each
    processor."""
    digest = _digest(network, NETWORKS[network])
    return None if _FIRST.get(network) == digest else digest


@cache
def _digest(network: str, make: Callable) -> str:
    """`make` is what the name stands for now: another entry under the same name is digested anew."""
    net = build(network, 0)
    told = []
    for name, layer in net.named_modules():
        settings = {key: value for key in _SETTINGS if isinstance(value := getattr(layer, key, None), _PLAIN)}
        told.append(f"{name} {type(layer).__name__} {settings} {_own_words(layer)}")
    for name, value in net.state_dict().items():
        # to three digits: PyTorch's normal draws differ in the last ones from processor to processor
        magnitude = f"{value.double().abs().mean():.3g}"
        told.append(f"{name} {tuple(value.shape)} {value.dtype} {magnitude}")
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def _own_words(layer: nn.Module) -> str:
    """What a layer that is not PyTorch's prints of itself."""
    said_by = next(kind for kind in type(layer).__mro__ if "extra_repr" in vars(kind))
    return "" if said_by.__module__.startswith("torch.") else layer.extra_repr()


def parameter_count(net: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)
