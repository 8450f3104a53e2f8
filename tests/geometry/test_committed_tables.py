"""The committed tables were measured as much as `EFFORT` says, and trained again as recorded."""

import pytest
import torch

from bbatch import beyond, data  # noqa: F401 - its networks are known then
from bbatch.config import DATASETS, plan
from bbatch.engines import engine_for
from bbatch.geometry import measurements, networks
from bbatch.geometry.networks import EFFORT
from bbatch.recipe import network_of
from factories import tiny

SYNTHETIC = [name for name in EFFORT if name.startswith("synthetic")]


@pytest.mark.parametrize("name", [name for name in EFFORT if name != "cifar10"])
def test_every_measure_rests_on_the_samples_and_steps_of_its_effort(name):
    effort, table = EFFORT[name], measurements.measured([name])
    by = {m: rows for m, rows in table.groupby("measure")}
    words = {
        "gradient_trace": (effort.n_noise, f"mini-batches of {effort.noise_batch},"),
        "hessian_top": (effort.n, f"{effort.iterations} Lanczos steps,"),
        "hessian_trace": (effort.n, f"{effort.probes} Hutchinson probes,"),
        "accuracy": (effort.n, ""),
        "sharpness_l2_random": (effort.n, f"epsilon 0.1, largest of {effort.directions} directions"),
    }
    for measure, (n, said) in words.items():
        spec = DATASETS[name]
        whole = {split: min(n, size) for split, size in (("train", spec.n_train), ("test", spec.n_test))}
        assert (by[measure]["n_samples"] == by[measure]["split"].map(whole)).all(), measure
        assert by[measure]["settings"].str.startswith(said).all(), measure
    new = f"epsilon 0.1, best {effort.restarts} of {effort.directions + 1} ascents, {effort.steps} gradients,"
    old = f"epsilon 0.1, {effort.restarts} ascents of {effort.steps} gradients,"  # an earlier search's
    for norm in ("l2", "linf", "relative", "filter"):
        told = by[f"sharpness_{norm}"]["settings"]
        assert (told.str.startswith(new) | told.str.startswith(old)).all()
    assert set(by["gradient_variance_one_network"]["batch_size"]) == set(effort.mini_batches)
    assert set(by["gradient_variance"]["batch_size"]) == set(effort.batch_sizes)
    assert set(by["gradient_variance"]["lr_rule"]) == set(effort.rules)
    ends = {0, DATASETS[name].protocol.epochs} if name in SYNTHETIC else set(table["epoch"])
    assert set(table["epoch"]) == ends | set(effort.epochs)
    assert table["seed"].nunique() == effort.seeds
    points = measurements.surfaces([name]).query("kind == 'surface'")
    assert points.empty == (effort.points == 0)
    if effort.points:
        sizes = points.groupby(["id", "split", "epoch"] if "epoch" in points else ["id", "split"]).size()
        assert set(sizes) == {effort.points**2} and set(points["n_samples"]) == {effort.n_landscape}


def test_a_network_is_trained_again_epoch_by_epoch(place):
    run = networks.plan("synthetic-50k", 512)  # of two epochs, on few samples
    source = data.load("synthetic-50k")
    engine, expected = engine_for(run, source, "cpu"), {}
    for epoch in (1, 2):
        engine.train_epoch(epoch - 1)
        expected[epoch] = engine.weights()
    found = {epoch: net for epoch, net, _ in networks.networks(run, "no such", source, place, [0, 1, 2])}
    assert sorted(found) == [0, 1, 2]
    for epoch, weights in expected.items():
        state = found[epoch].net.state_dict()
        assert all(torch.equal(state[name], value) for name, value in weights.items())


@pytest.mark.parametrize(
    "correct, loss, said",
    [
        (190, 0.45, "retrained"),
        (190, 0.45 * (1 + 0.9e-6), "retrained"),
        (190, 0.45 * (1 + 1.1e-6), "retrained, differs"),
        (190, 0.45 * (1 - 1.1e-6), "retrained, differs"),
        (189, 0.45, "retrained, differs"),
    ],
)
def test_a_retrained_network_agrees_in_counts_exactly_and_in_losses_to_a_millionth(correct, loss, said):
    record = {"final": {"test_correct": 190, "test_loss": 0.45}}
    assert networks._agreement(record, correct, loss) == said
    assert networks._agreement(None, correct, loss) == "retrained, no record"


def test_the_network_measured_is_the_one_that_the_run_names():
    run, source = plan("synthetic-1k", 32, network="mlp-batch-norm"), tiny("synthetic-1k")
    weights = network_of(run).state_dict()
    measured = networks.network(run, source, weights).net
    assert not measured.training and measured.state_dict().keys() == weights.keys()
    assert weights.keys() != network_of(plan("synthetic-1k", 32)).state_dict().keys()
