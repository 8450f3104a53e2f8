"""Random streams: rate, independence, permutation, and no dependence on how they are drawn."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch

from bbatch import streams


def generator(seed, epoch=0):
    return torch.Generator().manual_seed(streams.noise_seed(streams.seeds_of(seed), epoch))


@pytest.mark.parametrize("p", [0.2, 0.25, 0.5])
def test_dropout_keeps_at_its_rate(p):
    n = 4_000_000
    kept = streams.keep(streams.noise_bits((n,), generator(1)), p).double().mean().item()
    exact = 1 - round(p * 65536) / 65536  # what 16 bits can say
    assert abs(exact - (1 - p)) < 1e-5
    assert abs(kept - exact) < 5 * math.sqrt(p * (1 - p) / n)


def test_every_unit_is_dropped_at_its_rate():
    """Each of the four draws cut from one 64-bit word, and each unit of a row, has the same rate."""
    n, p = 20_000, 0.2
    rates = (~streams.keep(streams.noise_bits((n, 96), generator(2)), p)).double().mean(0)
    assert (rates - p).abs().max() < 5 * math.sqrt(p * (1 - p) / n)


def test_all_65536_values_are_drawn_alike():
    n = 2**22
    counts = np.bincount(streams.noise_bits((n,), generator(3)).numpy().astype(int) + 32768, minlength=65536)
    chi2 = ((counts - n / 65536) ** 2 / (n / 65536)).sum()
    assert abs(chi2 - 65535) < 5 * math.sqrt(2 * 65535)


def test_keep_at_the_extremes():
    bits = torch.tensor([-32768, -1, 0, 32767], dtype=torch.int16)
    assert streams.keep(bits, 0.0).all()
    assert streams.keep(bits, 0.5).tolist() == [False, False, True, True]


@pytest.mark.parametrize("pieces", [(32, 32, 32, 4), (1,) * 100, (7, 93)])
def test_rows_drawn_in_pieces_are_the_same_bits(pieces):
    whole = streams.noise_bits((100, 96), generator(4))
    g = generator(4)
    assert torch.equal(whole, torch.cat([streams.noise_bits((rows, 96), g) for rows in pieces]))


def test_streams_do_not_repeat_across_seeds_purposes_and_epochs():
    drawn = {}
    for seed in range(20):
        s = streams.seeds_of(seed)
        for epoch in range(10):
            drawn[seed, "order", epoch] = streams.order(s, epoch, 64)[:8].tobytes()
            drawn[seed, "noise", epoch] = streams.noise_bits((8, 4), generator(seed, epoch)).numpy().tobytes()
            drawn[seed, "noise seed", epoch] = streams.noise_seed(s, epoch)
    assert len(set(drawn.values())) == len(drawn)
    derived = [v for seed in range(2000) for v in vars(streams.seeds_of(seed)).values()]
    assert len(set(derived)) >= len(derived) - 3  # 32-bit values may collide: 0.004 expected among 6,000


def test_choice_of_a_subset_is_independent_of_the_first_order():
    seeds = streams.seeds_of(42)
    assert not np.array_equal(streams.subset(seeds, 100, 99), streams.order(seeds, 0, 100)[:99])


def test_streams_are_uncorrelated():
    """Masks and orders of neighbouring seeds and epochs: every correlation within sampling error of 0."""
    n, rows = 100_000, []
    for seed, epoch in [(42, 0), (42, 1), (43, 0), (43, 1), (0, 0), (1, 0)]:
        rows.append(streams.keep(streams.noise_bits((n,), generator(seed, epoch)), 0.2).numpy().astype(float))
        rows.append(streams.order(streams.seeds_of(seed), epoch, n).astype(float))
    r = np.corrcoef(rows)
    assert max(abs(r[i, j]) for i, j in combinations(range(len(rows)), 2)) < 5 / math.sqrt(n)
    for row in rows:  # nor from one sample to the next, nor across a word of four
        assert all(
            abs(np.corrcoef(row[:-lag], row[lag:])[0, 1]) < 5 / math.sqrt(n) for lag in (1, 2, 3, 4, 96)
        )


@pytest.mark.parametrize("n", [1, 2, 800])
def test_an_epoch_visits_every_sample_once(n):
    for epoch in range(3):
        assert sorted(streams.order(streams.seeds_of(42), epoch, n)) == list(range(n))


def test_order_is_uniform():
    """Where sample 0 lands over many epochs: each of 5 places within sampling error."""
    seeds, epochs = streams.seeds_of(42), 2000
    places = [int(np.flatnonzero(streams.order(seeds, e, 5) == 0)[0]) for e in range(epochs)]
    assert np.abs(np.bincount(places, minlength=5) / epochs - 0.2).max() < 5 * math.sqrt(0.2 * 0.8 / epochs)


def test_subset_is_a_choice_without_repetition():
    seeds = streams.seeds_of(42)
    assert np.array_equal(streams.subset(seeds, 100, 100), np.arange(100))
    some = streams.subset(seeds, 1000, 100)
    assert len(set(some)) == 100 and 0 <= some.min() and some.max() < 1000
    assert np.array_equal(some, streams.subset(seeds, 1000, 100))
    assert not np.array_equal(some, streams.subset(streams.seeds_of(43), 1000, 100))


def test_streams_are_the_published_ones():
    """The committed records stand on these streams: a change here makes every one of them stale."""
    seeds = streams.seeds_of(42)
    assert seeds == streams.Seeds(*np.random.SeedSequence(42).generate_state(3).tolist())
    assert (
        streams.order(seeds, 0, 10).tolist()
        == np.random.default_rng([seeds.order, 0]).permutation(10).tolist()
    )
    raw = torch.empty(2, dtype=torch.int64).random_(-(2**63), None, generator=generator(42, 7))
    assert streams.noise_bits((8,), generator(42, 7)).tolist() == raw.view(torch.int16).tolist()
