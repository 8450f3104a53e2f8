"""What a reader may add, each in one place: imported by the sweep's processes through BBATCH_EXTENSIONS."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from bbatch import config, data, metrics, models, optimizers


def read_digits(download):
    """scikit-learn's 1,797 digits as images of 8 x 8 x 1 bytes, the last 360 for testing."""
    found = load_digits()
    x = np.round(found.images[..., None] * 15.9375).astype(np.uint8)
    y = found.target.astype(np.int64)
    stats = ((0.3,), (0.37,))
    return data.made("digits", "scikit-learn digits", x[:1437], y[:1437], x[1437:], y[1437:], stats=stats)


def normalized_cnn():
    """A small network whose buffers move while it trains."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(8 * 4 * 4, 10),
    )  # fmt: skip


def adamw(parameters, lr, *, momentum, weight_decay):
    return torch.optim.AdamW(parameters, lr, weight_decay=weight_decay)


def best_test_acc(record):
    """The highest test accuracy of any epoch, in percent."""
    return 100 * max(record["history"]["test_correct"]) / record["data"]["n_test"]


DIGITS = config.Protocol(
    base_lr=0.005, base_batch=32, optimizer="adamw", epochs=3, batch_sizes=(32, 128), weight_decay=0.01
)
models.NETWORKS["normalized-cnn"] = normalized_cnn
optimizers.OPTIMIZERS["adamw"] = adamw
metrics.MORE_METRICS["best_test_acc"] = best_test_acc
config.LR_RULES["cube-root"] = lambda ratio: ratio ** (1 / 3)
config.BATCH_SCHEDULES["doubling"] = lambda batch_size, epoch, epochs: batch_size * 2**epoch
config.LR_SCHEDULES["halving"] = lambda epoch, epochs: 0.5**epoch
config.DATASETS["digits"] = config.DataSpec(
    "Digits", 1437, 360, 64, 10, "normalized-cnn", DIGITS, seeds=2, read=read_digits
)
