"""Ghost batch normalization (Hoffer et al. 2017, Algorithm 1): a large batch is normalized in small parts.

Each part has its own mean and variance, as a small batch would, and the running ones take up one part after
the other. The gradient is still that of the whole batch.
"""

import torch
from torch import nn

SIZE = 32  # samples in a part: the batch size that all others are compared with


class GhostBatchNorm1d(nn.BatchNorm1d):
    """Batch normalization in parts of `SIZE` samples; where these do not fit, of a few more, never fewer.

    `least_batch` tells an engine what to refuse; a last, partial batch that is smaller is one part.
    """

    least_batch = SIZE

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return in_parts(super().forward, x, self.training)


class GhostBatchNorm2d(nn.BatchNorm2d):
    """The same for images."""

    least_batch = SIZE

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return in_parts(super().forward, x, self.training)


def in_parts(normalize, x: torch.Tensor, training: bool) -> torch.Tensor:
    """What `normalize` makes of each part of a batch `x` [n, ...]; of all of it where nothing is trained."""
    if not training:
        return normalize(x)
    return torch.cat([normalize(part) for part in x.tensor_split(max(1, len(x) // SIZE))])
