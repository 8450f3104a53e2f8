"""Layers that compute in bfloat16 (`Recipe.precision`), on processors with and without instructions for it.

PyTorch's autocast says which layers do. On a processor without AVX-512 its convolutions then take ten times
as long as in 32 bits. What they compute is simple: numbers rounded to bfloat16 are multiplied, the products
summed in 32 bits, the sum is rounded. There we round and leave the rest to the convolutions in 32 bits; so it
is with their gradients, since the gradient of a rounding is rounded, too.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

LAYERS = (F.conv1d, F.conv2d, F.conv3d, F.linear)  # what autocast lowers and PyTorch has no fast kernel for


@contextmanager
def layers_in_bf16(device: str, enabled: bool = True, keep_weights: bool = True) -> Iterator[None]:
    """Within, layers on a device of this type ("cpu", "cuda") compute in bfloat16, where `enabled`.

    `keep_weights`: autocast rounds each weight once, and keeps that for the next use of it."""
    with torch.autocast(device, torch.bfloat16, enabled=enabled, cache_enabled=keep_weights):
        if enabled and device == "cpu" and not has_instructions():
            with _Rounded():
                yield
        else:
            yield


def has_instructions() -> bool:
    """Whether PyTorch is quick in bfloat16 on this processor."""
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512")


class _Rounded(TorchFunctionMode):
    """`LAYERS` with what goes in and what comes out rounded to bfloat16."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function not in LAYERS:
            return function(*args, **(kwargs or {}))
        given = [_rounded(value) for value in args]
        named = {name: _rounded(value) for name, value in (kwargs or {}).items()}
        with torch.autocast("cpu", enabled=False):
            return function(*given, **named).bfloat16()


def _rounded(value):
    return value.bfloat16().float() if isinstance(value, torch.Tensor) else value
