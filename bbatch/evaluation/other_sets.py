"""Data sets that the paper never touched, and networks for them: of scikit-learn, a text, a regression."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn

from .. import data
from ..data import Data

WINDOW, WINDOWS = 16, 2000  # characters, and as many samples


def borrowed(name: str) -> Data:
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    x, y = getattr(datasets, f"load_{name.replace('-', '_')}")(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(x, y, test_size=0.2, random_state=42)
    parts = data.standardized(train_x, test_x)
    return data.made(name, "scikit-learn", parts[0], train_y, parts[1], test_y)


class NextCharacter(nn.Module):
    """A transformer layer over `WINDOW` characters [n, WINDOW]; logits of the next, [n, characters]."""

    def __init__(self, characters: int, width: int = 32):
        super().__init__()
        self.characters, self.places = nn.Embedding(characters, width), nn.Embedding(WINDOW, width)
        self.layer = nn.TransformerEncoderLayer(width, 2, 2 * width, 0.1, batch_first=True)
        self.out = nn.Linear(width, characters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.layer(self.characters(x) + self.places.weight)[:, -1])


def characters() -> tuple[Data, Callable]:
    from pydoc_data.topics import topics

    text = " ".join(" ".join(topics[name] for name in sorted(topics)).lower().split())
    known = " abcdefghijklmnopqrstuvwxyz.,()_'"
    code = np.array([known.find(c) + 1 for c in text])  # 0: any other character
    x = np.lib.stride_tricks.sliding_window_view(code, WINDOW + 1)
    x = x[np.linspace(0, len(x) - 1, 2 * WINDOWS).astype(int)]  # the second half of the text is the test set
    train, test = np.split(np.ascontiguousarray(x, np.int64), [WINDOWS])
    whole = data.made("text", "Python's reference", train[:, :-1], train[:, -1], test[:, :-1], test[:, -1])
    return whole, partial(NextCharacter, len(known) + 1)


def friedman() -> Data:
    from sklearn.datasets import make_friedman1

    x, y = make_friedman1(2500, noise=1.0, random_state=42)
    x, y = 2 * x - 1, (y - y[:2000].mean()) / y[:2000].std()
    x, y = x.astype(np.float32), y.astype(np.float32)[:, None]
    parts = (x[:2000], y[:2000], x[2000:], y[2000:])
    source, digest = "scikit-learn make_friedman1", data.fingerprint(*parts)
    return Data("friedman", source, digest, *map(torch.from_numpy, parts))


def explained(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    """Share of the targets' variance that outputs explain, in percent."""
    return 100 * (1 - ((outputs - targets) ** 2).mean() / ((targets - targets.mean()) ** 2).mean()).item()
