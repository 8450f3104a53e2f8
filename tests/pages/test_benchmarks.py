"""What the page on speed says is computed from the measurements, and the rivals do train. No test here
measures time."""

import importlib.util
from shutil import which

import pandas as pd
import pytest

from bbatch import config
from bbatch.analysis import timings
from bbatch.errors import BadInput
from bbatch.pages import benchmarks
from benchmarks import measure, rivals
from factories import tiny


def rows(costs, figure="step"):
    """Measurements of one round, as `benchmarks.measure` writes them: {(contestant, B): microseconds}."""
    table = []
    for size in dict.fromkeys(b for _, b in costs):
        here = {who: (lambda cost=cost: cost) for (who, b), cost in costs.items() if b == size}
        found = measure.interleaved(here, 1, lambda text: None)
        table += measure.labelled(found, figure, config.plan("synthetic-1k", size), "us a step and seed")
    return pd.DataFrame(table)


def test_numbers_follow_the_measurements():
    table = rows(
        {
            ("DataLoader loop", 1): 300.0,
            ("bbatch", 1): 3.0,
            ("C++", 1): 1.5,
            ("DataLoader loop", 101): 600.0,
            ("bbatch", 101): 53.0,
            ("C++", 101): 53.0,
        }
    )
    assert timings.over(table, "bbatch", "DataLoader loop").tolist() == pytest.approx([100, 600 / 53])
    assert timings.over(table, "bbatch", "C++").tolist() == pytest.approx([0.5, 1])
    assert timings.cost_of_a_step(table) == pytest.approx((2.5, 0.5))
    assert timings.over(table, "bbatch", "JAX, 1 seed").empty
    shown = benchmarks.times_faster(table)
    assert shown["times faster"].tolist()[:3] == ["base", "100 (100 to 100)", "200 (200 to 200)"]
    table["median"] *= 2
    assert timings.cost_of_a_step(table) == pytest.approx((5, 1))


def test_the_grid_costs_what_its_steps_and_samples_do():
    """Counted by hand: steps an epoch over the batch sizes of each synthetic set, fifty epochs."""
    sizes = (1, 8, 16, 32, 64, 128, 256, 512)
    steps = sum(-(-n // b) for n in (800, 8_000, 40_000) for b in sizes)
    assert timings.seconds_of_the_grid(2.0, 0.0) == pytest.approx(50 * steps * 2e-6)
    assert timings.seconds_of_the_grid(0.0, 0.5) == pytest.approx(50 * 48_800 * len(sizes) * 0.5e-6)


def test_what_dask_costs_is_paired_with_the_processes_of_the_same_round():
    """Medians over three rounds; the difference is taken round by round, and then its median."""
    own, dask = (0.1, 0.5, 0.2), (0.4, 0.6, 1.2)  # seconds a run; differences 0.3, 0.1 and 1.0
    measured = pd.DataFrame(
        {"executor": name, "workers": 2, "round": k, "runs": 30, "elapsed_s": 60 * (k + 1), "overhead_s": o}
        for name, costs in (("processes", own), ("dask", dask))
        for k, o in enumerate(costs)
    )
    found = timings.overheads(measured, 20.0).set_index("executor")
    assert found["overhead a run, s"].to_dict() == {"processes": 0.2, "dask": 0.6}
    assert found["runs a minute"].tolist() == [15.0, 15.0] and found["workers"].tolist() == [2, 2]
    share = found["over processes, % of a 20 s run"]
    assert share["dask"] == pytest.approx(1.5) and pd.isna(share["processes"])


def test_rounds_rotate_and_the_first_is_not_counted():
    called = []
    contestants = {name: (lambda name=name: called.append(name) or len(called)) for name in "abc"}
    found = measure.interleaved(contestants, 2, lambda text: None)
    assert "".join(called) == "abcbcacab"
    assert [row["median"] for row in found] == [(6 + 8) / 2, (4 + 9) / 2, (5 + 7) / 2]


def test_unmeasured_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(timings, "FOLDER", tmp_path)
    with pytest.raises(BadInput, match="make bench DEVICE=cuda"):
        timings.read_timings("cuda")


def test_the_loop_in_cpp_trains_as_well_as_ours():
    if not which("g++"):
        pytest.skip("no g++ here")
    from bbatch.engines import engine_for

    data, run = tiny("synthetic-1k"), config.plan("synthetic-1k", 16, 1, n_train=600)
    cpp, ours = rivals.Compiled(run, data), engine_for(run, data, "cpu")
    for epoch in range(20):
        (loss, _), (loss_ours, _) = cpp(), ours.train_epoch(epoch)
    assert loss == pytest.approx(loss_ours, rel=0.2)  # same network and rate; other order and masks


@pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="jax comes with requirements-bench.txt")
def test_jax_trains_as_well_as_ours():
    from bbatch.engines import engine_for

    data, run = tiny("synthetic-1k"), config.plan("synthetic-1k", 16, 1, n_train=592)
    jax, ours = rivals.Jax(run, data, seeds=2), engine_for(run, data, "cpu")
    for epoch in range(20):
        value, (loss_ours, _) = jax(), ours.train_epoch(epoch)
    assert value == pytest.approx([loss_ours / 592] * 2, rel=0.2)
