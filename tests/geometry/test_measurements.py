"""The tables of geometry: how they are filled and resumed, and what is read from made-up ones."""

import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from bbatch import data, metrics
from bbatch.analysis import noise_and_batch_size, sharpness_and_batch_size
from bbatch.config import DATASETS, plan
from bbatch.errors import BadInput, StoreError
from bbatch.files import seal
from bbatch.geometry import (
    drawing,
    landscape,
    measurements,
    measuring,
    networks,
    objective,
    one_network,
    sharpness,
)
from bbatch.models import build
from bbatch.pages import (
    interactive,
    landscape_figures,
    landscape_surfaces,
    measured_networks,
    noise_figures,
    sharpness_figures,
)
from bbatch.records.store import Store
from bbatch.statistics import spearman
from factories import tiny

SMALL = networks.Effort(
    (32, 512), ("linear", "constant"), 1, (1,), 60, 3, 1, 2, 3, 2, (1, 4, 16), 100, 10, 3, 50
)
TINY = {
    "synthetic-50k": SMALL,
    "mnist": replace(SMALL, n=8, n_noise=12, noise_batch=4, mini_batches=(1,), epochs=()),
}


def effort(monkeypatch, planned):
    for module in (networks, measurements, measuring, drawing, one_network):
        monkeypatch.setattr(module, "EFFORT", planned)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Tables in a folder of the test, tiny data, and little effort; returns an empty store."""
    monkeypatch.setattr(measurements, "FOLDER", tmp_path / "geometry")
    sets = {"synthetic-50k": tiny("synthetic-1k", 800, 200), "mnist": tiny("mnist", 600, 100)}
    monkeypatch.setattr(data, "load", sets.__getitem__)
    monkeypatch.setattr(networks, "plan", lambda d, b, s=42, **k: plan(d, b, s, epochs=2, n_train=600, **k))
    effort(monkeypatch, TINY)
    return Store(tmp_path / "live", None).prepare()


def keep(store, run) -> str:
    """Weights of a run in the store, as a sweep leaves them; returns the run's key."""
    buffer = io.BytesIO()
    torch.save(build("mnist-cnn", 5).state_dict(), buffer)
    key = run.key(data.load("mnist").fingerprint)
    (store.weights / f"{key}.pt").write_bytes(seal(buffer.getvalue()))
    return key


def test_an_empty_table_has_the_columns(place):
    for table in (
        measurements.measured(),
        measurements.surfaces(),
        measurements.rescaling(["synthetic-50k"]),
    ):
        assert table.empty and list(table.columns)[:5] == measurements.RUN_COLUMNS
    assert {"measure", "value", "n_samples", "settings", "id", "commit"} <= set(
        measurements.measured().columns
    )


def test_what_is_missing_is_measured_once_and_every_measure_is_documented(place):
    first = measuring.measure_missing(["synthetic-50k"], store=place, progress=False)
    assert first == [{"dataset": "synthetic-50k", "measured": 3, "without_weights": 0, "needs": None}]
    table = measurements.measured()
    assert set(table["measure"]) == set(one_network.MEASURES) and table["value"].notna().all()
    assert set(table["epoch"]) == {0, 1, 2} and set(table["source"]) == {
        "initial",
        "retrained",
        "retrained, no record",
    }
    assert measuring.measure_missing(["synthetic-50k"], store=place, progress=False)[0]["measured"] == 0
    # as if cut short before this run
    measurements.write_measurements("", "synthetic-50k", table[table["id"] != table["id"].iloc[0]])
    assert measuring.measure_missing(["synthetic-50k"], store=place, progress=False)[0]["measured"] == 1
    again = measurements.measured()
    both = table.merge(again, on=["id", "epoch", "split", "measure", "batch_size"], suffixes=("", "_again"))
    assert len(both) == len(table) == len(again) and both["value"].tolist() == pytest.approx(
        both["value_again"].tolist()
    )


def test_networks_of_images_are_read_from_the_store_or_named_as_missing(place):
    run = networks.plan("mnist", 32, precision="bf16")  # 20 mini-batches of 512 would take half a minute
    report = measuring.measure_missing(["mnist"], store=place, progress=False)[0]
    # the reference run: its first network alone
    assert (report["measured"], report["without_weights"]) == (1, 1)
    assert report["needs"] == "bbatch run mnist --batch-size 32 --seed 42"
    key = keep(place, run)
    assert measuring.measure_missing(["mnist"], store=place, progress=False)[0]["measured"] == 1
    rows = measurements.measured(["mnist"]).query("id == @key")
    assert set(rows["source"]) == {"kept"} and set(rows["precision"]) == {"bf16"}
    x, y = networks.fixed_samples(data.load("mnist"), "test", 8)
    expected = F.cross_entropy(build("mnist-cnn", 5).eval()(data.load("mnist").inputs(x)), y).item()
    assert rows.query("measure == 'loss' and split == 'test'")["value"].item() == pytest.approx(
        expected, rel=1e-5
    )
    (place.weights / f"{key}.pt").write_bytes(b"damaged")
    assert networks.kept(place.weights / f"{key}.pt") is None


def test_a_network_in_either_precision_will_do_and_first_networks_need_no_weights(place):
    """Three seeds asked for: three first networks; of the weights, those of one seed in bf16 are at hand."""
    key = keep(place, networks.plan("mnist", 32, 43, precision="bf16"))
    report = measuring.measure_missing(["mnist"], seeds=3, store=place, progress=False)[0]
    assert (report["measured"], report["without_weights"]) == (4, 2) and report["needs"].endswith("--seed 42")
    rows = measurements.measured(["mnist"])
    assert sorted(rows.query("epoch == 0")["seed"].unique()) == [42, 43, 44] and set(
        rows.query("epoch > 0")["id"]
    ) == {key}


def test_of_a_seed_in_both_precisions_the_one_with_more_networks_is_given(place):
    """Seed 42: one network in 32 bits, two in bf16; seed 43: one of each."""
    rows = [
        {
            "dataset": "mnist",
            "batch_size": b,
            "lr_rule": "linear",
            "precision": p,
            "seed": seed,
            "epoch": e,
            "split": "train",
            "measure": "sharpness_l2",
            "value": value,
            "n_samples": 8,
            "id": f"{p}{b}{seed}",
        }
        for p, b, seed, e, value in (
            ("fp32", 32, 42, 0, 9),
            ("fp32", 512, 42, 12, 5),
            ("bf16", 32, 42, 12, 1),
            ("bf16", 512, 42, 12, 2),
            ("fp32", 512, 43, 12, 7),
            ("bf16", 512, 43, 12, 8),
        )
    ]
    measurements.write_measurements(
        "", "mnist", pd.DataFrame(rows).assign(settings="", source="kept", commit="")[measurements.COLUMNS]
    )
    table = measurements.measured(["mnist"])
    assert sorted(table["value"]) == [1, 2, 7, 9]
    ratio = sharpness_and_batch_size.ratios(table, "mnist").iloc[0]
    # never 5 over 1, nor a mean of the two precisions
    assert (ratio["ratio"], ratio["n"]) == (pytest.approx(2), 1)


def test_landscapes_of_images_are_of_one_seed_and_grow_as_networks_arrive(place, monkeypatch):
    effort(monkeypatch, {"mnist": replace(TINY["mnist"], seeds=2, n_landscape=6)})
    assert drawing.draw_missing(["mnist"], place, progress=False) == [{"dataset": "mnist", "drawn": 0}]
    keep(place, networks.plan("mnist", 512, 43, precision="bf16"))
    assert drawing.draw_missing(["mnist"], place, progress=False)[0]["drawn"] == 1
    before = measurements.surfaces(["mnist"])
    keep(place, networks.plan("mnist", 32, 43, precision="bf16"))
    keep(place, networks.plan("mnist", 512, 42, precision="bf16"))  # another seed's, which has fewer
    assert drawing.draw_missing(["mnist"], place, progress=False)[0]["drawn"] == 1
    points = measurements.surfaces(["mnist"])
    assert set(points["seed"]) == {43} and points.iloc[: len(before)].equals(before)
    assert points.groupby(["batch_size", "kind", "split"]).size().to_dict() == {
        (b, k, s): n
        for b, k, n in ((32, "path", 3), (32, "surface", 9), (512, "surface", 9))
        for s in ("test", "train")
    }
    assert drawing.draw_missing(["mnist"], place, progress=False)[0]["drawn"] == 0
    assert "seed 43" in landscape_figures.landscape_sentence(points, "mnist")
    # as if another session had drawn one of another seed
    other = points.assign(seed=44)[points["batch_size"] == 512]
    assert landscape_surfaces.grids(pd.concat([other, points]), "mnist").keys() == {
        "B = 32, bf16",
        "B = 512, bf16",
    }
    assert set(measurements.pictured(pd.concat([other, points]), "mnist")["seed"]) == {43}


def test_landscapes_are_drawn_once_with_the_network_at_the_centre(place):
    assert drawing.draw_missing(["synthetic-50k"], place, progress=False) == [
        {"dataset": "synthetic-50k", "drawn": 3}
    ]
    points = measurements.surfaces()
    assert points.loc[
        points["lr_rule"] == "constant", ["batch_size", "kind"]
    ].drop_duplicates().values.tolist() == [[512, "surface"]]
    points = points[points["lr_rule"] == "linear"]
    assert points.groupby(["batch_size", "split", "kind"]).size().to_dict() == {
        (b, s, k): n
        for b in (32, 512)
        for s in ("test", "train")
        for k, n in (("path", 3), ("surface", 9))
        if (b, k) != (512, "path")
    }
    path = points.query("kind == 'path' and split == 'test'").set_index("a")["loss"]
    assert list(path.index) == [-0.5, 0.5, 1.5]
    table = measurements.rescaling()
    assert set(table["norm"]) == set(sharpness.NORMS) and table["factor"].nunique() == 7
    assert drawing.draw_missing(["synthetic-50k"], place, progress=False)[0]["drawn"] == 0
    source = data.load("synthetic-50k")
    run = networks.plan("synthetic-50k", 512)
    net = next(networks.networks(run, "none", source, place, [2]))[1]
    centre = points.query(
        "batch_size == 512 and split == 'test' and a == 0 and b == 0 and kind == 'surface'"
    )["loss"].item()
    x, y = networks.fixed_samples(source, "test", 50)
    assert centre == pytest.approx(F.cross_entropy(net(x), y).item(), rel=1e-5)


def test_a_landscape_that_is_cut_off_goes_on(place, monkeypatch):
    value, counted = objective.Objective.value, []

    def cut(self, w):
        counted.append(1)
        if len(counted) == 7:
            raise KeyboardInterrupt
        return value(self, w)

    monkeypatch.setattr(landscape, "SAVE_EVERY", 0)
    monkeypatch.setattr(objective.Objective, "value", cut)
    with pytest.raises(KeyboardInterrupt):
        drawing.draw_missing(["synthetic-50k"], place, progress=False)
    assert measurements.surfaces().empty and len(list(place.checkpoints.iterdir())) == 1
    drawing.draw_missing(["synthetic-50k"], place, progress=False)
    resumed, spent = measurements.surfaces(), len(counted)
    assert list(place.checkpoints.iterdir()) == []
    counted[:] = [1] * 7  # past the cut
    for path in measurements.FOLDER.iterdir():
        path.unlink()
    drawing.draw_missing(["synthetic-50k"], place, progress=False)
    assert measurements.surfaces().equals(resumed)
    assert spent == len(counted) - 7 + 2  # the point that was cut, and a second look at the centre


def test_bad_input(place):
    for call in (measuring.measure_missing, drawing.draw_missing):
        with pytest.raises(
            BadInput, match="data set with measurements of geometry 'minst' is unknown; allowed are"
        ):
            call(["minst"])


def made_up(seeds=3):
    """Sharpness that follows B exactly: S = (seed factor) · B^a."""
    rows = [
        {
            "dataset": "synthetic-50k",
            "batch_size": b,
            "lr_rule": rule,
            "precision": "fp32",
            "seed": 42 + k,
            "epoch": 50,
            "split": "train",
            "measure": measure,
            "value": (1 + k) * b**a,
            "n_samples": 10,
            "id": f"{rule}{b}{k}",
        }
        for rule, a in (("linear", -0.5), ("constant", 0.25))
        for b in (8, 32, 128, 512)
        for k in range(seeds)
        for measure in ("sharpness_l2", "hessian_trace")
        if rule == "linear" or b != 32
    ]
    return pd.DataFrame(rows).assign(settings="", source="retrained", commit="")


def test_ratio_and_growth_are_those_of_a_table_made_by_them():
    table = made_up()
    ratio = sharpness_and_batch_size.ratios(table, "synthetic-50k").set_index("measure").loc["sharpness_l2"]
    assert (ratio["ratio"], ratio["low"], ratio["high"]) == pytest.approx((0.25, 0.25, 0.25)) and ratio[
        "n"
    ] == 3
    # at the base batch size, where the rules are one, the linear run counts
    assert sharpness_and_batch_size.ratios(table, "synthetic-50k", lr_rule="constant")[
        "ratio"
    ].tolist() == pytest.approx([512**0.25 / 32**-0.5] * 2)
    found = sharpness_and_batch_size.growth(table, "synthetic-50k").set_index(["lr_rule", "measure"])
    assert found.loc[("linear", "sharpness_l2"), "exponent"].mean == pytest.approx(-0.5)
    assert found.loc[("linear", "sharpness_l2"), "seeds"] == 3
    assert "falls" in sharpness_and_batch_size.growth_sentence(table, "synthetic-50k")
    assert "fewer than three" in sharpness_and_batch_size.growth_sentence(table.iloc[:0], "synthetic-50k")
    noisy = table.assign(value=table["value"] * np.random.default_rng(0).lognormal(0, 0.1, len(table)))
    pairs = noisy.query("measure == 'hessian_trace' and lr_rule == 'linear'").pivot(
        index="seed", columns="batch_size", values="value"
    )
    logs = np.log(pairs[512] / pairs[32])
    low, high = np.exp(stats.t.interval(0.95, 2, logs.mean(), stats.sem(logs)))
    row = sharpness_and_batch_size.ratios(noisy, "synthetic-50k").set_index("measure").loc["hessian_trace"]
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    assert len(sharpness_and_batch_size.ratio_table(noisy, "synthetic-50k")) == 3  # the paper's row first


def test_a_network_that_collapsed_and_seeds_of_other_sizes_leave_the_growth_of_the_rest():
    table = made_up()
    dead = (table["seed"] == 43) & (table["batch_size"] == 512) & (table["lr_rule"] == "linear")
    table["id"] += table["seed"].astype(str)
    table.loc[dead, "value"] = 0.0
    right = table[table["measure"] == "hessian_trace"].assign(
        measure="accuracy", value=lambda t: np.where(t["value"] == 0, 54.0, 99.0)
    )
    table = pd.concat(
        [table[~((table["seed"] == 44) & (table["batch_size"] == 8))], right], ignore_index=True
    )
    gone = measurements.collapsed(table)
    assert gone[["batch_size", "lr_rule", "seed"]].values.tolist() == [[512, "linear", 43]]
    found = sharpness_and_batch_size.growth(table, "synthetic-50k").set_index(["lr_rule", "measure"])
    assert [i.mean for i in found["exponent"]["linear"]] == pytest.approx([-0.5, -0.5]) and set(
        found["seeds"]
    ) == {3}
    assert sharpness_and_batch_size.ratios(table, "synthetic-50k")["n"].tolist() == [2, 2]
    figure = sharpness_figures.sharpness_against_batch(
        sharpness_and_batch_size.final(table, "synthetic-50k"), "synthetic-50k"
    )
    assert all(np.isfinite(line.get_ydata()).all() for axis in figure.axes for line in axis.lines)
    assert (
        "collapsed to chance: B = 512, seed 43 (to the letter its sharpness is 0)"
        in measured_networks.which_networks(table, table.iloc[:0], ["synthetic-50k"])
    )


def test_rank_correlation_with_the_gap_and_inside_cells():
    table = made_up().query("measure == 'sharpness_l2'")
    cell = table["lr_rule"] + table["batch_size"].astype(str)
    runs = pd.DataFrame({"id": table["id"], "gap": table["value"].rank() * 0.1})
    found = sharpness_and_batch_size.against_gap(table, runs, "synthetic-50k").set_index("over")
    assert (
        found["rho"].tolist() == pytest.approx([1, 1])
        and found["n"].tolist() == [21, 15]
        and found["clear"].all()
    )
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 40))
    c = spearman(x, y)
    assert c.r == pytest.approx(stats.spearmanr(x, y).statistic) and c.n == 40
    assert np.arctanh(c.high) - np.arctanh(c.low) == pytest.approx(
        2 * 1.959964 * np.sqrt((1 + c.r**2 / 2) / 37), rel=1e-5
    )
    assert spearman(x, y, cells=[1] * 40) == c
    shifted = spearman(np.r_[x[:20], x[20:] + 100], np.r_[y[:20], y[20:] + 100], cells=[0] * 20 + [1] * 20)
    assert (
        abs(shifted.r) < 0.6
        and shifted.n == 39
        and spearman(np.r_[x[:20], x[20:] + 100], np.r_[y[:20], y[20:] + 100]).r > 0.6
    )
    for bad in (([1, 2, 3], [1, 2, 3]), ([1] * 9, range(9)), (range(5), range(4))):
        with pytest.raises(BadInput, match="a rank correlation needs four pairs"):
            spearman(*bad)
    assert cell.nunique() == 7


def test_the_fit_of_the_variance_is_the_law_that_made_the_table():
    rows = [
        {
            "dataset": "mnist",
            "batch_size": b,
            "lr_rule": "linear",
            "precision": "fp32",
            "seed": 42 + k,
            "epoch": e,
            "split": "train",
            "measure": "gradient_variance_one_network",
            "value": (2 + k) / b,
            "n_samples": 60_000,
            "id": "x",
        }
        for b in (1, 8, 64, 512)
        for k in range(2)
        for e in (0, 12)
    ]
    table = pd.DataFrame(rows).assign(settings="", source="", commit="")
    fits = noise_and_batch_size.variance_fits(table)
    assert fits["at"].tolist() == ["initialisation", "convergence"] and fits["seeds"].tolist() == [2, 2]
    assert [f.mean for f in fits["exponent"]] == pytest.approx([-1, -1]) and [
        r.mean for r in fits["r_squared"]
    ] == pytest.approx([1, 1])
    assert "−1" in noise_and_batch_size.variance_table(table).iloc[1]["slope"]


def test_the_share_of_the_gradient_is_said_before_and_after_training():
    rows = [
        {
            "dataset": "mnist",
            "epoch": e,
            "measure": "gradient_top_share",
            "value": v,
            "n_samples": 2000,
            "id": i,
        }
        for e, v, i in ((0, 4.0, "a"), (12, 90.0, "b"), (12, 99.0, "c"))
    ]
    said = noise_and_batch_size.share_sentence(pd.DataFrame(rows))
    assert "MNIST 4 % at initialisation (n = 1 network) and 94 % after training (90 to 99; n = 2" in said
    assert "networks), among 2,000" in said


def test_the_sentence_on_ratios_counts_intervals_or_single_pairs():
    table = made_up(seeds=3)
    noisy = table.assign(value=table["value"] * np.random.default_rng(0).lognormal(0, 0.1, len(table)))
    said = sharpness_and_batch_size.ratio_sentence(noisy, "synthetic-50k")
    assert (
        "of 2 readings 0 are above 1 with their whole interval, 2 below, and 0 cannot" in said
        and "n = 3 seeds" in said
    )
    assert "To the letter" in said and "prints 6.9" in said
    alone = sharpness_and_batch_size.ratio_sentence(
        noisy[noisy["seed"] == 42].assign(value=lambda t: 1 / t["value"]), "synthetic-50k"
    )
    assert "of 2 readings 2 are above 1 and 0 below, without intervals (n = 1 seed" in alone


def test_origins_count_each_network_once():
    table = made_up()
    assert "21 trained again with the record's scores" in measured_networks.origins(table)
    assert "points" not in measured_networks.origins(
        table
    ) and "2 points of landscapes" in measured_networks.origins(table, table.iloc[:2])


def test_surfaces_share_their_scale_and_show_the_recorded_loss(place):
    drawing.draw_missing(["synthetic-50k"], place, progress=False)
    points = measurements.surfaces()
    figure = landscape_surfaces.rotatable_surfaces(points, "synthetic-50k")
    assert [trace.name for trace in figure.data] == ["B = 32", "B = 512"]
    assert len({(trace.cmin, trace.cmax) for trace in figure.data}) == 1
    assert figure.layout.scene.zaxis.range == figure.layout.scene2.zaxis.range
    a, b, loss = landscape_surfaces.grids(points, "synthetic-50k")["B = 512"]
    of_512 = points.query(
        "lr_rule == 'linear' and batch_size == 512 and split == 'test' and kind == 'surface'"
    )
    point = of_512.query("a == -1 and b == 0")["loss"].item()
    assert loss[list(a).index(-1), list(b).index(0)] == np.float32(point)
    assert np.asarray(figure.data[1].z)[list(b).index(0), list(a).index(-1)] == pytest.approx(
        np.log10(point), rel=1e-5
    )
    assert "at the centre" in landscape_figures.landscape_sentence(points, "synthetic-50k")


def test_the_slider_shows_one_batch_size_in_both_scenes_and_the_shared_network_in_each(place):
    drawing.draw_missing(["synthetic-50k"], place, progress=False)
    points = measurements.surfaces()
    figure = landscape_surfaces.walk(points, "synthetic-50k")
    sizes = sorted(points.loc[points["kind"] == "surface", "batch_size"].unique())
    steps = figure.layout.sliders[0].steps
    assert [step.label for step in steps] == [f"B = {size}" for size in sizes] and sizes == [32, 512]
    for step in steps:
        shown = [trace for trace, visible in zip(figure.data, step.args[1], strict=True) if visible]
        assert {trace.name for trace in shown} == {step.label} and {trace.scene for trace in shown} == {
            "scene",
            "scene2",
        }
    assert [trace.name for trace in figure.data if trace.visible] == [steps[0].label] * 2
    left, right = (trace.z for trace in figure.data if trace.name == "B = 32")
    assert np.array_equal(left, right)  # at the base batch size the rules are one
    said = landscape_figures.walk_sentence(points, "synthetic-50k")
    assert said.count("(B = 32)") == 2 and "under the constant rule" in said


def test_every_figure_and_sentence_can_be_made_of_nothing():
    table, points = measurements.measured(["no such set"]), measurements.surfaces(["no such set"])
    runs = metrics.frame([])
    made = [
        landscape_surfaces.rotatable_surfaces(points, "mnist"),
        landscape_surfaces.walk(points, "mnist"),
        landscape_figures.contours(points, "mnist"),
        landscape_figures.loss_paths(points, "mnist"),
        landscape_figures.slices(points, "mnist"),
        sharpness_figures.sharpness_against_batch(sharpness_and_batch_size.final(table, "mnist"), "mnist"),
        noise_figures.variance(table, list(DATASETS)),
        noise_figures.noise_scale_in_training(table, "mnist"),
    ]
    assert all(made)
    said = [
        sharpness_and_batch_size.growth_sentence(table, "mnist"),
        sharpness_and_batch_size.gap_sentence(table, runs, "mnist"),
        landscape_figures.landscape_sentence(points, "mnist"),
        landscape_figures.walk_sentence(points, "mnist"),
        measured_networks.which_networks(table, points, ["mnist"]),
        sharpness_and_batch_size.ratio_sentence(table, "mnist"),
        measured_networks.origins(table, points),
        noise_and_batch_size.share_sentence(table),
        *noise_and_batch_size.variance_sentences(table),
        *noise_and_batch_size.noise_sentences(table, runs),
    ]
    assert all(re.search(r"yet|fewer|too few", text) for text in said)
    for frame in (
        sharpness_and_batch_size.ratio_table(table, "mnist"),
        sharpness_and_batch_size.growth_table(table, "mnist"),
        sharpness_and_batch_size.gap_table(table, runs, "mnist"),
        noise_and_batch_size.noise_table(table, runs),
    ):
        assert len(frame) <= 1


def test_an_interactive_figure_asks_no_network_and_speaks_to_who_cannot_see_it():
    import plotly.graph_objects as go

    figure = go.Figure(go.Surface(z=np.arange(4.0).reshape(2, 2)))
    static = landscape_figures.contours(measurements.surfaces(["no such set"]), "mnist")
    assert interactive.show(go.Figure(), "empty", "nothing", static)._repr_mimebundle_() == {"text/html": ""}
    shown = interactive.show(figure, "a-name", 'a "hill" <b>', static)._repr_mimebundle_()
    html = shown["text/html"]
    assert (
        html.count('class="plotly-graph-div"') == 1
        and 'id="a-name"' in html
        and html.count("Plotly.newPlot(") == 1
    )
    assert not re.search(r'(src|href)="(?!data:)', html) and "cdn" not in html
    assert 'aria-label="a &quot;hill&quot; &lt;b&gt;"' in html and re.search(
        r'<noscript><img src="data:image/png;base64,\w+', html
    )
    assert shown["application/vnd.plotly.v1+json"]["data"][0]["type"] == "surface"
    assert interactive.show(figure, "a-name", 'a "hill" <b>', static)._repr_mimebundle_() == shown
    assert (
        "<noscript><p>words</p></noscript>"
        in interactive.show(figure, "n", "words")._repr_mimebundle_()["text/html"]
    )


@pytest.mark.parametrize("content", [b"", b"PAR1", b"\xff\xfe\x00" * 9])
def test_a_damaged_table_is_told_in_a_sentence(content, tmp_path, monkeypatch):
    monkeypatch.setattr(measurements, "FOLDER", tmp_path)
    (tmp_path / "mnist.parquet").write_bytes(content)
    with pytest.raises(StoreError, match=r"of mnist is damaged \(.*\); restore it from the repository\.$"):
        measurements.measured(["mnist"])
