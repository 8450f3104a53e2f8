"""Growing batches and decaying rates: the noise of a step of SGD is the same (Smith et al. 2018)."""

import numpy as np
import pytest

from bbatch import beyond  # noqa: F401
from bbatch.config import plan
from bbatch.errors import BadInput


@pytest.mark.parametrize(
    "epochs, sizes", [(4, [4, 4, 16, 64]), (12, [4] * 6 + [16] * 3 + [64] * 3), (1, [4]), (3, [4, 4, 16])]
)
def test_growth_and_decay_by_hand(epochs, sizes):
    grows = plan("synthetic-1k", 64, epochs=epochs, batch_schedule="growing")
    decays = plan("synthetic-1k", 4, epochs=epochs, lr_schedule="decaying", lr_rule="constant")
    assert [grows.batch(e) for e in range(epochs)] == sizes
    assert [decays.rates(e)[0] / 0.001 for e in range(epochs)] == pytest.approx([4 / b for b in sizes])
    assert [grows.steps(e) for e in range(epochs)] == [-(-800 // b) for b in sizes]


def test_rate_over_batch_size_is_the_same_in_every_epoch():
    grows = plan("synthetic-1k", 256, epochs=8, batch_schedule="growing", lr_rule="constant")
    decays = plan("synthetic-1k", 16, epochs=8, lr_schedule="decaying", lr_rule="constant")
    noise = [[run.rates(e)[0] / run.batch(e) for e in range(8)] for run in (grows, decays)]
    assert noise[0] == pytest.approx(noise[1]) and len(set(noise[0])) == 3


def test_both_leave_the_same_scatter_on_a_noisy_parabola():
    """Brute force: SGD on w^2/2 whose gradient has noise of variance 1/B; 4,000 walks each."""
    rng = np.random.default_rng(0)
    left = []
    for run in (
        plan("synthetic-1k", 256, epochs=16, batch_schedule="growing", lr_rule="constant", base_lr=0.05),
        plan("synthetic-1k", 16, epochs=16, lr_schedule="decaying", lr_rule="constant", base_lr=0.05),
    ):
        w = np.zeros(4_000)
        for epoch in range(16):
            for rate in run.rates(epoch):
                w = w - rate * (w + rng.normal(0, run.batch(epoch) ** -0.5, 4_000))
        left.append(w.var())
    unchanged = 0.05 / 2 / 16  # what B = 16 at the whole rate would leave: rate / (2 B)
    assert left[0] < unchanged / 8 and left[0] == pytest.approx(left[1], rel=0.25)


def test_no_batch_below_one_and_none_above_the_samples():
    assert [plan("synthetic-1k", 8, epochs=4, batch_schedule="growing").batch(e) for e in range(4)] == [
        1,
        1,
        2,
        8,
    ]
    with pytest.raises(BadInput, match="batch size is 801"):
        plan("synthetic-1k", 801, batch_schedule="growing")
