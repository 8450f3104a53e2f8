"""Expected hours on a GPU, by hand."""

from dataclasses import replace

import pandas as pd
import pytest
from torch import nn

import bbatch.beyond  # noqa: F401
from bbatch.analysis.expected_time import REPLAYED, gpu_hours
from bbatch.config import plan
from bbatch.engines.cuda_graph import CAPTURED
from bbatch.optimizers import OPTIMIZERS
from bbatch.studies.trial import Trial

COSTS = {
    ("bbatch", 16): 100.0,
    ("bbatch", 32): 100.0,
    ("bbatch", 512): 400.0,
    ("bbatch, eager", 16): 1000.0,
    ("bbatch, eager", 32): 1000.0,
    ("bbatch, eager", 512): 1000.0,
}
CUDA = pd.DataFrame(
    [["mnist", b, who, cost] for (who, b), cost in COSTS.items()],
    columns=["dataset", "batch_size", "contestant", "median"],
).sample(frac=1, random_state=1)


def hours(batch_size, **how):
    run = replace(plan("mnist", batch_size, n_train=2048, epochs=2), **how)
    return gpu_hours([Trial(run)] * 3, CUDA)


def test_steps_times_what_a_step_takes():
    assert hours(32) == pytest.approx(3 * 2 * 64 * 100e-6 / 3600)
    assert hours(128) == pytest.approx(3 * 2 * 16 * 200e-6 / 3600)  # half-way on logarithms
    assert hours(2048) == pytest.approx(3 * 2 * 1 * 1600e-6 / 3600)  # four times 512's samples
    assert hours(32, optimizer="adam") == hours(32)


def test_what_cannot_be_replayed_is_eager():
    assert hours(128, optimizer="lamb") == pytest.approx(3 * 2 * 16 * 1000e-6 / 3600)


def test_replayed_are_the_optimizers_that_the_engine_captures():
    """The engine decides by class, this module by name."""
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    made = {n: make(net.parameters(), 0.1, momentum=0.9, weight_decay=0.0) for n, make in OPTIMIZERS.items()}
    assert {name for name, optimizer in made.items() if type(optimizer) in CAPTURED} == set(REPLAYED)
