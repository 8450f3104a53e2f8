"""The arms of the remedies: what each changes, equal steps, and early stopping against training by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bbatch import data
from bbatch.config import plan
from bbatch.engines import engine_for
from bbatch.errors import BadInput
from bbatch.studies import remedies, table
from bbatch.studies.trial import Trial, train_trial

RUN = plan("synthetic-1k", 64, epochs=30, lr_rule="constant", base_lr=0.016, n_train=640)


def test_early_stopping_by_hand():
    """Trained beyond the end, then the first epoch sought after which patience was over."""
    trial = Trial(RUN, held_out=160, patience=3)
    source, held = data.load("synthetic-1k"), trial.held_out_samples(800)
    engine, losses, right = engine_for(RUN, source, "cpu"), [], []
    for epoch in range(30):
        engine.train_epoch(epoch)
        net = engine.net.eval()
        with torch.no_grad():
            logits = net(source.train_x[held])
            losses.append(float(torch.nn.functional.cross_entropy(logits, source.train_y[held])))
            right.append(int((net(source.test_x).argmax(1) == source.test_y).sum()))
    best = [int(np.argmin(losses[: k + 1])) for k in range(30)]
    end = next(k for k in range(30) if k - best[k] == 3)
    row = train_trial(trial)
    assert 3 < row["epochs_run"] == end + 1 < 30
    assert row["test_correct"] == right[best[end]] != right[end]
    assert row["held_out_loss"] == pytest.approx(losses[best[end]], rel=1e-5)
    assert row["patience"] == 3 and row["epochs"] == 30


def test_without_an_end_of_patience_the_best_weights_are_scored():
    row = train_trial(Trial(replace(RUN, epochs=4), held_out=160, patience=30))
    assert row["epochs_run"] == 4
    plain = train_trial(Trial(replace(RUN, epochs=4), held_out=160))
    assert plain["epochs_run"] == 4 and plain["patience"] is None and plain["id"] != row["id"]
    assert row["held_out_loss"] <= plain["held_out_loss"]


def test_early_stopping_needs_patience_and_held_out_samples():
    with pytest.raises(BadInput, match="patience is 0; it must be a whole number of at least 1"):
        Trial(RUN, 160, patience=0)
    with pytest.raises(BadInput, match="held-out samples, which early stopping needs is 0"):
        Trial(RUN, patience=3)


def test_another_network_under_the_same_name_has_another_id(monkeypatch):
    trial = Trial(replace(RUN, network="mlp-batch-norm"), 160)
    first, papers = trial.id("f"), Trial(RUN, 160).id("f")
    monkeypatch.setitem(remedies.beyond.NETWORKS, "mlp-batch-norm", remedies.beyond.networks.mlp_ghost_norm)
    assert trial.id("f") != first and Trial(RUN, 160).id("f") == papers


def test_precise_averages_are_scored_where_asked_for():
    run = replace(RUN, network="mlp-batch-norm", epochs=2)
    running, precise = (Trial(run, 160, averages=which) for which in ("running", "precise"))
    engine, source = engine_for(run, data.load("synthetic-1k"), "cpu"), data.load("synthetic-1k")
    for epoch in range(2):
        engine.train_epoch(epoch)
    rows = [train_trial(running), train_trial(precise)]
    assert [row["averages"] for row in rows] == ["running", "precise"] and rows[0]["id"] != rows[1]["id"]
    expected = [engine.evaluate(source.test_x, source.test_y)]
    engine.estimate_averages()
    expected.append(engine.evaluate(source.test_x, source.test_y))
    assert [row["test_correct"] for row in rows] == [correct for _, correct in expected]
    assert rows[0]["test_loss"] != rows[1]["test_loss"] == pytest.approx(expected[1][0] / 200)
    with pytest.raises(BadInput, match="kind of averages"):
        Trial(run, 160, averages="exact")


@pytest.mark.parametrize("dataset", remedies.SETTINGS)
def test_each_arm_changes_what_it_says_and_nothing_else(dataset):
    compared = remedies.remedies_of(dataset) | remedies.optimizers_of(dataset)
    arms = compared | remedies.architectures_of(dataset)
    assert not set(remedies.SETTINGS[dataset].wider) - set(arms), "ranges of arms that are not there"
    plain = remedies.arm_trials(dataset, arms["plain at 32"])[0]
    seen = set()
    for name, arm in arms.items():
        trials = remedies.arm_trials(dataset, arm)
        seeds = min(arm.seeds, remedies.SETTINGS[dataset].seeds)
        assert len(trials) == len(arm.sizes) * seeds * (arm.octaves[1] - arm.octaves[0] + 1)
        for t in trials:
            changed = {"batch_size": t.run.batch_size, "base_lr": t.run.base_lr, "seed": t.run.seed}
            assert t.run == replace(plain.run, **changed, **arm.changes, epochs=t.run.epochs), name
            assert t.held_out == t.run.n_train // 4 and t.patience == arm.patience
            assert t.averages == ("precise" if "averages anew" in name else "running")
            steps = sum(t.run.steps(e) for e in range(t.run.epochs))
            base = replace(plain.run, batch_size=32)
            if arm.equal_steps:
                assert abs(steps - base.epochs * base.steps(0)) <= t.run.steps(0) / 2
            else:
                assert t.run.epochs == plain.run.epochs
        if name in compared:
            assert not seen & set(trials), "a trial belongs to one arm"
            seen |= set(trials)


def test_the_rates_of_the_plain_arm_hold_every_rule():
    """From any rate that may be the best at 32, kept or multiplied by B / 32."""
    arms = remedies.remedies_of("synthetic-50k")
    at_32 = {t.run.base_lr for t in remedies.arm_trials("synthetic-50k", arms["plain at 32"])}
    for b in remedies.LARGE:
        tried = {
            t.run.base_lr
            for t in remedies.arm_trials("synthetic-50k", arms["plain"])
            if t.run.batch_size == b
        }
        assert min(tried) <= min(at_32) and max(tried) >= max(at_32) * b / 32


def test_a_first_table_says_what_held_for_its_rows(tmp_path):
    row = train_trial(Trial(replace(RUN, epochs=1), 160))
    later = {"network", "batch_schedule", "lr_schedule", "patience", "epochs_run", "averages"}
    frame = table.table_frame([{k: v for k, v in row.items() if k not in later}])
    found = frame.iloc[0]
    assert (found["network"], found["batch_schedule"], found["lr_schedule"]) == ("mlp", "fixed", "fixed")
    assert found["epochs_run"] == 1 and found["averages"] == "running"
