"""The rows of one network, and what tables and plans make of many: every argument and text, with measurements
that answer by a formula."""

import io
import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bbatch.files import seal
from bbatch.geometry import drawing, gradient_noise, hessian, measurements, networks, one_network, sharpness
from bbatch.geometry.hessian import top_eigenvalues
from bbatch.geometry.networks import EFFORT, epochs_of, planned
from bbatch.geometry.objective import PIECE, Objective, twice_differentiable
from bbatch.geometry.sharpness import Sharpness
from bbatch.models import build
from bbatch.statistics import Interval
from factories import Point, quadratic, refused, small_mlp, tiny
from small_geometry import SMALL, plan_effort


@pytest.fixture
def asked(monkeypatch):
    """What the measurements are called with: (name, samples, arguments by name)."""
    calls = []
    plan_effort(monkeypatch, {"synthetic-50k": replace(SMALL, n=30, n_noise=40)})

    def answers(module, name, result):
        def stub(net, loss, x, y, *args, **kwargs):
            assert loss is F.cross_entropy and len(x) == len(y)
            calls.append((name, len(y), (*args, *kwargs.items())))
            return result(*args, **kwargs)

        monkeypatch.setattr(module, name, stub)

    noise = gradient_noise.NoiseScale(3.0, 4.0, Interval(5.0, 2.5, 7.5, 9))
    answers(gradient_noise, "noise_scale", lambda *a: noise)
    answers(gradient_noise, "largest_share", lambda *a: 0.25)
    answers(gradient_noise, "gradient_variance", lambda b, replacement, seed: b + 0.5 * replacement)
    found = Sharpness(0.75, 0.5, 0.125, (0.4, 0.75, 0.6))
    answers(sharpness, "sharpness", lambda *a, **k: found)
    answers(sharpness, "keskar", lambda epsilon, subspace: 11.0 if subspace else 22.0)
    answers(hessian, "top_eigenvalues", lambda **k: SimpleNamespace(values=(6.0, 1.0), residuals=(0.03, 9.0)))
    answers(hessian, "trace", lambda **k: Interval(8.0, 7.0, 9.0, 2))
    return calls


def rows_of(batch_size=32, epoch=2, rule="linear"):
    source = tiny("synthetic-1k", 80, 50)
    run = replace(networks.plan("synthetic-50k", batch_size, 43, lr_rule=rule), epochs=2)
    net = build("mlp", 3).eval()
    return pd.DataFrame(one_network.rows(run, epoch, net, source)), net, source


def test_every_row_of_a_trained_network(asked):
    table, net, source = rows_of()

    def cell(measure, split="train"):
        return table[(table["measure"] == measure) & (table["split"] == split)]

    settings = "mini-batches of 10, jackknife 95 % 2.5 to 7.5"
    for measure, value in (("gradient_trace", 3), ("gradient_norm2", 4), ("noise_scale", 5)):
        assert cell(measure)[["value", "n_samples", "settings"]].values.tolist() == [[value, 40, settings]]
    assert cell("gradient_top_share")["value"].item() == 25
    one, two = (cell(f"gradient_variance_one_network{w}") for w in ("", "_replaced"))
    assert one[["value", "batch_size"]].values.tolist() == [[b, b] for b in (1, 4, 16)]
    assert two[["value", "batch_size"]].values.tolist() == [[b + 0.5, b] for b in (1, 4, 16)]
    own = cell("gradient_variance").iloc[0]
    assert (own["value"], own["n_samples"]) == (32, 80) and np.isnan(own["batch_size"])
    assert own["settings"] == "20 mini-batches, first-layer weights"
    variances = [call for call in asked if call[0] == "gradient_variance"]
    assert [dict(a[1:])["seed"] for _, _, a in variances] == [
        43 + 10_000 * b for b in (32, 1, 1, 4, 4, 16, 16)
    ]
    for split, n in (("train", 30), ("test", 30)):
        x, y = networks.fixed_samples(source, split, n)
        right = 100 * (net(x).argmax(1) == y).float().mean().item()
        assert cell("accuracy", split)["value"].item() == pytest.approx(right)
        for norm in sharpness.NORMS:
            best, random = (cell(f"sharpness_{norm}{w}", split).iloc[0] for w in ("", "_random"))
            assert (best["value"], random["value"], best["n_samples"]) == (0.75, 0.5, n)
            # (0.75 - 0.4) / 0.75
            assert best["settings"] == "epsilon 0.1, best 1 of 3 ascents, 3 gradients, 47 % apart"
            assert random["settings"] == "epsilon 0.1, largest of 2 directions"
        assert cell("loss", split)["value"].item() == 0.125
    balls = [args for name, _, args in asked if name == "sharpness"]
    ascent = (("steps", 3), ("restarts", 1), ("directions", 2))
    assert balls == 2 * [(0.1, norm, *ascent) for norm in sharpness.NORMS]
    assert [args for name, _, args in asked if name == "keskar"] == [
        (1e-3, ("subspace", None)),
        (1e-3, ("subspace", 100)),
    ]
    told = {m: cell(m).iloc[0] for m in ("keskar_full", "keskar_subspace", "hessian_top")}
    assert [told[m]["value"] for m in told] == [22, 11, 6]
    assert told["keskar_full"]["settings"] == "epsilon 0.001, 10 iterations of L-BFGS-B"
    assert told["keskar_subspace"]["settings"].endswith("of L-BFGS-B, 100 dimensions")
    assert told["hessian_top"]["settings"] == "3 Lanczos steps, residual 0.03"
    trace = cell("hessian_trace").iloc[0]
    assert (trace["value"], trace["settings"]) == (8, "2 Hutchinson probes, ± 1")
    norm = sum(float((p.detach() ** 2).sum()) for p in net.parameters()) ** 0.5
    assert cell("weight_norm")["value"].item() == pytest.approx(norm)
    assert set(table["measure"]) == set(one_network.MEASURES)


def test_what_is_measured_when(asked, monkeypatch):
    def measures(**more):
        return set(rows_of(**more)[0]["measure"])

    noise = {"gradient_trace", "gradient_norm2", "noise_scale"}
    drawn = {"gradient_variance_one_network", "gradient_variance_one_network_replaced"}
    assert measures(epoch=1) == noise
    assert measures(epoch=0) == noise | drawn | {"gradient_top_share"}
    assert measures(epoch=0, batch_size=512) == noise | {"gradient_top_share"}
    assert measures(batch_size=512) == set(one_network.MEASURES) - drawn
    assert measures(rule="constant") == set(one_network.MEASURES) - drawn
    dead = Sharpness(0.0, 0.0, 1.0, (0.0, -0.1))
    monkeypatch.setattr(sharpness, "sharpness", lambda *a, **k: dead)
    table = rows_of()[0]
    assert table[table["measure"] == "sharpness_l2"]["settings"].str.endswith(", none rose").all()


def table(*rows) -> pd.DataFrame:
    columns = ["dataset", "seed", "precision", "epoch", "split", "measure", "value", "id"]
    return pd.DataFrame(rows, columns=columns).assign(batch_size=32, lr_rule="linear")


def test_a_network_within_five_points_of_chance_has_collapsed():
    def row(id, value, name="mnist", epoch=1, split="train", measure="accuracy"):
        return (name, 42, "fp32", epoch, split, measure, value, id)

    found = table(
        row("a", 15.0), row("b", 15.1), row("c", 10.0, epoch=0), row("d", 10.0, split="test"),
        row("e", 10.0, measure="loss"), row("a", 11.0, epoch=12), row("f", 54.9, "synthetic-1k"),
        row("f", 54.9, "synthetic-1k", split="test"), row("g", 55.1, "synthetic-1k"),
    )  # fmt: skip
    assert measurements.collapsed(found)["id"].tolist() == ["a", "f"]  # of ten classes, and of two
    assert set(measurements.converged(found)["id"]) == {"b", "c", "d", "e", "g"}
    assert list(measurements.collapsed(found)) == [*measurements.RUN_COLUMNS, "id"]


def test_of_two_precisions_with_as_many_networks_32_bits_are_kept():
    rows = [("mnist", 42, p, e, "train", "loss", 0.0, f"{p}{k}") for p, k, e in (
        ("bf16", 0, 12), ("bf16", 1, 12), ("fp32", 0, 12), ("fp32", 1, 1), ("fp32", 2, 0), ("bf16", 2, 0),
        ("bf16", 3, 0))]  # fmt: skip
    found = measurements._one_precision(table(*rows))
    assert set(found[found["epoch"] > 0]["id"]) == {"fp320", "fp321"} and found.index.is_unique
    assert set(found[found["epoch"] == 0]["id"]) == {"fp322", "bf162", "bf163"}
    more = measurements._one_precision(table(*rows, ("mnist", 42, "bf16", 1, "train", "loss", 0.0, "bf164")))
    assert set(more[more["epoch"] > 0]["precision"]) == {"bf16"}


def test_surfaces_of_the_figures():
    assert measurements.SURFACES == {
        "synthetic-50k": (32, 512),
        "mnist": (32, 256, 512),
        "cifar10": (32, 256, 512),
    }


def test_tables_of_two_data_sets_have_rows_counted_through(tmp_path, monkeypatch):
    monkeypatch.setattr(measurements, "FOLDER", tmp_path)
    part = pd.DataFrame({c: [1, 2] for c in measurements.POINT_COLUMNS})
    for name in ("mnist", "cifar10"):
        measurements.write_measurements("-landscape", name, part.assign(more=1))
    found = measurements.surfaces(["mnist", "cifar10"])
    assert list(found.index) == [0, 1, 2, 3] and list(found) == measurements.POINT_COLUMNS


def test_the_runs_that_are_planned(tmp_path):
    nowhere = SimpleNamespace(weights=tmp_path)
    for name, rules in (("synthetic-50k", 2), ("synthetic-1k", 1)):
        runs = planned(name, None, nowhere, "f")
        effort = EFFORT[name]
        assert len(runs) == len(set(runs)) == 5 * (4 + 3 * (rules - 1))
        assert {r.batch_size for r in runs} == set(effort.batch_sizes) and {r.seed for r in runs} == {
            42, 43, 44, 45, 46,
        }  # fmt: skip
        assert not any(r.lr_rule == "constant" and r.batch_size == 32 for r in runs)
        assert len(planned(name, 2, nowhere, "f")) == len(runs) * 2 // 5
    # of images without weights, the reference networks in 32 bits alone
    assert planned("mnist", None, nowhere, "f") == [networks.plan("mnist", 32, s) for s in (42, 43, 44)]
    low = networks.plan("mnist", 512, 43, precision="bf16")
    (tmp_path / f"{low.key('f')}.pt").write_bytes(b"")
    assert low in planned("mnist", None, nowhere, "f")


def test_surfaces_of_every_network_and_paths_from_the_reference_to_the_other_sizes():
    base, other, far = (networks.plan("mnist", b) for b in (32, 512, 1024))  # 1024 is on no figure
    constant = networks.plan("mnist", 512, lr_rule="constant")
    keys = {base: "a", other: "b", far: "c", constant: "d"}
    columns = ["id", "split", "to_batch_size"]
    done = [("c", "train", 0), ("c", "test", 0), ("d", "train", 0), ("a", "train", 512), ("b", "test", 0)]
    assert drawing._undrawn("mnist", keys, pd.DataFrame(done, columns=columns)) == [
        (base, "train", None),
        (base, "test", None),
        (base, "test", other),
        (other, "train", None),
        (constant, "test", None),
    ]


def test_a_surface_reaches_one_step_to_each_side_and_a_path_half_its_length_beyond_both_ends():
    (net, x, y), (to, *_) = small_mlp(), small_mlp(1)
    effort = replace(SMALL, points=3)
    path = drawing._points(effort, net, to, x, y, False)
    assert path["a"].tolist() == [-0.5, 0.5, 1.5] and set(path["b"]) == {0} and set(path["kind"]) == {"path"}
    surface = drawing._points(effort, net, None, x, y, False)
    assert surface[["a", "b"]].values.tolist() == [[a, b] for a in (-1, 0, 1) for b in (-1, 0, 1)]
    assert surface["loss"][4] == pytest.approx(F.cross_entropy(net(x), y).item()) and len(x) == 60
    assert set(surface["n_samples"]) == {60}


def test_the_epochs_at_which_a_run_is_measured():
    def at(*run, **more):
        return epochs_of(networks.plan(*run, **more))

    assert at("synthetic-50k", 512) == (0, 1, 2, 5, 10, 20, 50) and at("synthetic-1k", 8) == (0, 5, 20, 50)
    assert at("mnist", 32) == (0, 12) and at("mnist", 512) == (12,)
    assert at("mnist", 32, precision="bf16") == (12,)


def test_the_last_epoch_of_a_network_trained_again_is_held_against_its_record(monkeypatch):
    done = []
    engine = SimpleNamespace(
        train_epoch=done.append, weights=lambda: f"after {len(done)}", evaluate=lambda x, y: (5.0, 7)
    )
    monkeypatch.setattr(networks, "engine_for", lambda run, source, device: engine)
    monkeypatch.setattr(networks, "network", lambda run, source, weights: weights)
    monkeypatch.setattr(networks, "_agreement", lambda *told: told)
    run = replace(networks.plan("synthetic-1k", 32), epochs=3)
    source = SimpleNamespace(test_x=None, test_y=[0] * 10)
    assert list(networks._trained(run, "key", source, [1, 3])) == [
        (1, "after 1", "retrained"),
        (3, "after 3", ("key", 7, 0.5)),  # the loss of a sample
    ]
    assert done == [0, 1, 2]


def test_a_file_of_weights_holds_nothing_else(tmp_path):
    """What is unpickled could run anything."""

    def saved(content):
        buffer = io.BytesIO()
        torch.save(content, buffer)
        (tmp_path / "net.pt").write_bytes(seal(buffer.getvalue()))
        return networks.kept(tmp_path / "net.pt")

    assert saved({"w": torch.ones(2)})["w"].tolist() == [1, 1]
    with pytest.raises(pickle.UnpicklingError):
        saved({"w": SimpleNamespace()})


def test_images_are_normalized_and_rows_taken_as_they_are():
    for name, net in (("mnist", "mnist-cnn"), ("synthetic-1k", "mlp")):
        source = tiny(name, 60, 20)
        made = networks.network(networks.plan(name, 32), source, build(net, 5).state_dict())
        x = source.test_x[:4]
        torch.testing.assert_close(made(x), build(net, 5).eval()(source.inputs(x)))
        assert not made.training


def test_pieces_are_of_32_images_or_ten_thousand_rows():
    assert PIECE["cpu"] == {"images": 32, "features": 10_000}
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 2)).eval()
    y = torch.zeros(40, dtype=torch.int64)
    for shape, piece in (((40, 6), 10_000), ((40, 2, 3), 32), ((40, 1, 2, 3), 32)):
        assert Objective(net, F.cross_entropy, torch.ones(shape), y).piece == piece
    assert Objective(net, F.cross_entropy, torch.ones(40, 6), y, 7).piece == 7


def test_fused_kernels_are_off_only_for_recurrent_layers_and_only_meanwhile():
    flags = torch.backends.mkldnn
    plain, mixed = nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.LSTM(2, 2))
    for net, enabled in ((plain, True), (mixed, False)):
        with twice_differentiable(net):
            assert flags.flags.__module__ and torch._C._get_mkldnn_enabled() == enabled
        assert torch._C._get_mkldnn_enabled()


def test_defaults_and_residuals_of_the_spectrum():
    """One eigenvalue unless more are asked for; each bound is the last Lanczos step times the last entry of
    its vector, worked out here from a basis made by plain Gram-Schmidt."""
    values = np.array([9.0, 4.0, 1.0, -2.0, 0.5])
    loss, x, y = quadratic(torch.diag(torch.tensor(values)), torch.zeros(5, dtype=torch.float64))
    net = Point(np.zeros(5)).eval()
    found = top_eigenvalues(net, loss, x, y, 2, iterations=3)
    assert len(top_eigenvalues(net, loss, x, y, iterations=3).values) == 1
    v = torch.randn(5, generator=torch.Generator().manual_seed(0)).double().numpy()
    krylov = np.column_stack([np.diag(values**k) @ v for k in range(4)])
    q = np.linalg.qr(krylov)[0]
    t = q.T @ np.diag(values) @ q
    ritz, vectors = np.linalg.eigh(t[:3, :3])
    assert found.values == pytest.approx(ritz[::-1][:2], rel=1e-6)
    assert found.residuals == pytest.approx((abs(t[3, 2]) * abs(vectors[2]))[::-1][:2], rel=1e-6)


def test_the_variance_that_is_expected_of_all_samples_at_once():
    """All of a finite population have no variance, its only sample has that of any; 19/20 of it is told."""
    assert gradient_noise.expected_variance(3.0, 2, 2) == 0
    assert gradient_noise.expected_variance(3.0, 1, 1) == pytest.approx(3 * 0.95)
    assert gradient_noise.expected_variance(3.0, 2, 2, replacement=True) == pytest.approx(3 / 2 * 0.95)


def test_three_mini_batches_are_enough_and_the_first_weights_have_two_dimensions():
    net, x, y = small_mlp()
    assert gradient_noise.noise_scale(net, F.cross_entropy, x, y, 20).scale.n == 3
    refused(lambda: gradient_noise.noise_scale(net, F.cross_entropy, x, y, 21), "60 samples give 2 mini")
    norm_first = nn.Sequential(nn.LayerNorm(5), nn.Linear(5, 3))
    assert gradient_noise.first_weight(norm_first) == "1.weight"
    norm_first[1].weight.requires_grad_(False)
    refused(lambda: gradient_noise.first_weight(norm_first), "no weights of two dimensions")
    assert (
        gradient_noise.largest_share(net, F.cross_entropy, x, y)
        == gradient_noise.largest_share(net, F.cross_entropy, x, y, 0.01)
        < gradient_noise.largest_share(net, F.cross_entropy, x, y, 0.02)
    )


def test_of_as_many_surfaces_those_in_32_bits_of_the_lowest_seed_are_pictured():
    def surface(seed, precision, *sizes):
        found = pd.DataFrame({"batch_size": sizes, "id": [f"{precision}{seed}{b}" for b in sizes]})
        return found.assign(seed=seed, precision=precision, dataset="mnist", kind="surface", lr_rule="linear")

    both = pd.concat(
        [surface(42, "bf16", 32, 256), surface(44, "fp32", 32, 256), surface(43, "fp32", 32, 512)]
    )
    assert set(measurements.pictured(both, "mnist")["id"]) == {"fp324332", "fp3243512"}
    more = pd.concat([both, surface(42, "bf16", 512)])
    assert set(measurements.pictured(more, "mnist")["precision"]) == {"bf16"}
