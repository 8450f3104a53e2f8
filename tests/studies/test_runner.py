"""The runner of studies: it resumes, equal trials give equal rows, and equal rows give equal bytes."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from filelock import FileLock

from bbatch import data, streams
from bbatch.config import DATASETS, Run, plan
from bbatch.engines import engine_for
from bbatch.errors import BadInput
from bbatch.studies import STUDIES, batch_and_rate, data_size, equal_steps, problems, runner, table, warm_up
from bbatch.studies.__main__ import main
from bbatch.studies.trial import Trial, train_trial
from factories import tiny


def small(batch_size=64, seed=42, rate=0.004, epochs=2):
    run = plan("synthetic-1k", batch_size, seed, epochs=epochs, lr_rule="constant", base_lr=rate, n_train=640)
    return Trial(run, held_out=160)


def decided(row):
    return {k: row[k] for k in table.DECIDED}


def test_a_row_counts_on_held_out_and_test_samples_by_hand():
    trial = small()
    row, source = train_trial(trial), data.load("synthetic-1k")
    order = streams.subset(streams.seeds_of(42), 800, 640)
    rest = sorted(set(range(800)) - set(order.tolist()))
    engine = engine_for(trial.run, source, "cpu")
    for epoch in range(2):
        _, running = engine.train_epoch(epoch)
    net = engine.net.eval()
    with torch.no_grad():
        logits = net(source.train_x[rest])
        right = (logits.argmax(1) == source.train_y[rest]).sum()
        loss = torch.nn.functional.cross_entropy(logits, source.train_y[rest])
        test_right = (net(source.test_x).argmax(1) == source.test_y).sum()
    assert (row["n_train"], row["n_held_out"], row["n_test"], row["batch_size"]) == (640, 160, 200, 64)
    assert (row["held_out_correct"], row["test_correct"]) == (int(right), int(test_right))
    assert row["held_out_loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert row["running_correct"] == running and row["lr"] == 0.004 and not row["diverged"]
    assert set(row) >= set(table.COLUMNS)


def _used(trial):
    """The samples that an engine shuffles: the first of a seeded order."""
    return streams.subset(streams.seeds_of(trial.run.seed), 800, trial.run.n_train)


def test_held_out_samples_never_train_and_differ_from_seed_to_seed():
    used, held = _used(small()), small().held_out_samples(800)
    assert len(used) == 640 and sorted({*used, *held}) == list(range(800))
    few = Trial(small().run, held_out=100)
    held = few.held_out_samples(800)
    assert len(held) == 100 and not set(used) & set(held)
    assert set(held) != set(Trial(small(seed=43).run, 100).held_out_samples(800))
    with pytest.raises(BadInput, match="640 training and 161 held-out"):
        Trial(small().run, 161).held_out_samples(800)


def test_equal_trials_give_equal_rows_and_other_trials_other_ids():
    assert decided(train_trial(small())) == decided(train_trial(small()))
    print_ = data.load("synthetic-1k").fingerprint
    others = [small(), small(seed=43), small(rate=0.002), Trial(small().run, 100), Trial(small().run, 160, 1)]
    assert len({t.id(print_) for t in others} | {small().id("other data")}) == 6


def test_images_are_held_out_too(monkeypatch):
    source = tiny("mnist", n_train=120, n_test=40)
    monkeypatch.setattr(data, "load", lambda name, device="cpu": source)
    row = train_trial(Trial(plan("mnist", 16, epochs=1, n_train=48), held_out=24))
    assert (row["n_train"], row["n_held_out"], row["n_test"], row["engine"]) == (48, 24, 40, "torch")
    assert 0 <= row["held_out_correct"] <= 24 and row["held_out_loss"] > 0


def test_a_diverged_run_stops_and_is_scored_as_it_stands():
    row = train_trial(small(rate=1e30, epochs=50))
    assert row["diverged"] and row["test_loss"] is None and 0 < row["test_correct"] < 200


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of the test for the tables of studies; returns what puts another one in its place."""

    def put(name):
        monkeypatch.setattr(table, "FOLDER", tmp_path / name)
        table.FOLDER.mkdir(exist_ok=True)
        return table.FOLDER

    put("tables")
    return put


def test_the_runner_resumes_and_the_table_has_the_bytes_of_an_undisturbed_run(folder, monkeypatch):
    trials = [small(b, s) for b in (640, 64) for s in (42, 43)]
    done = []

    def counted(trial, device):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(trial)
        return train_trial(trial) | dict.fromkeys(table.OBSERVED, None)  # times are what another day changes

    with pytest.raises(BadInput, match="device 'gpu' cannot be used here"):
        runner.run("tiny", trials, device="gpu", progress=False)
    assert not table.path_of("tiny").exists()  # a table without rows would pass for a study's
    monkeypatch.setattr(runner, "_train", counted)
    with pytest.raises(KeyboardInterrupt):
        runner.run("tiny", trials, progress=False)
    assert len(table.table_rows("tiny")) == 3
    done.clear()
    assert runner.run("tiny", trials, progress=False) == 1 and done == trials[3:]
    assert runner.run("tiny", trials, progress=False) == 0
    content = table.path_of("tiny").read_bytes()
    folder("others")
    done.clear()
    runner.run("tiny", trials[:3], progress=False)
    done.clear()
    runner.run("tiny", trials[::-1], progress=False)
    assert table.path_of("tiny").read_bytes() == content
    found = table.read_table("tiny")
    assert found["batch_size"].tolist() == [64, 64, 640, 640] and found["problem"].isna().all()
    assert found["test_acc"].tolist() == [c / 2 for c in found["test_correct"]]


def test_rows_are_on_disk_before_the_last_one_comes(folder, monkeypatch):
    """A process that is killed has no time to write: what is a minute old is there."""
    monkeypatch.setattr(runner, "SAVE_EVERY", 0)
    row, seen = train_trial(small()), []

    def there(trial, device):
        seen.append(len(table.table_rows("tiny")))
        return row | {"id": str(len(seen))}

    monkeypatch.setattr(runner, "_train", there)
    runner.run("tiny", [small(seed=s) for s in (42, 43, 44)], progress=False)
    assert seen == [0, 1, 2] and len(table.table_rows("tiny")) == 3


def test_two_processes_train_what_one_does(folder):
    trials, found = [small(640, s) for s in (42, 43)], []
    for jobs in (1, 2):
        place = folder(str(jobs))
        runner.run("tiny", trials, jobs=jobs, progress=False)
        found.append([decided(row) for row in table.table_rows("tiny")])
    assert found[0] == found[1] and len(found[0]) == 2
    with FileLock(place / ".tiny.lock"), pytest.raises(BadInput, match="another process"):
        runner.run("tiny", trials)


def test_a_table_is_read_in_one_arithmetic(folder):
    """That of more rows, fp32 of equally many: no mean goes over two."""
    row = train_trial(small(640))
    full, rounded = (
        [row | {"precision": how, "id": f"{how} {k}"} for k in range(2)] for how in ("fp32", "bf16")
    )
    for found, usual in (([full[0], *rounded], "bf16"), (full + rounded, "fp32"), (rounded[:1], "bf16")):
        table.write_table("tiny", found)
        kept = table.read_table("tiny")
        assert set(kept["precision"]) == {usual} and len(kept) == sum(r["precision"] == usual for r in found)
    table.write_table("tiny", [])
    assert table.read_table("tiny").empty


def test_a_generator_problem_is_nested_and_its_test_set_common(monkeypatch):
    monkeypatch.setattr(problems, "POOL", 500)
    monkeypatch.setattr(problems, "TEST", 300)
    problems._draw.cache_clear()
    problems.problem_data.cache_clear()
    small_, large = problems.problem_data(3, 80), problems.problem_data(3, 400)
    assert small_.train_y.tolist() == large.train_y[:80].tolist() and small_.test_y.equal(large.test_y)
    x, _ = problems._draw(3)
    mean, deviation = x[:80].mean(0), x[:80].std(0)
    assert small_.test_x.numpy() == pytest.approx((x[500:] - mean) / deviation, rel=1e-4, abs=1e-5)
    assert small_.train_x.numpy() == pytest.approx((x[:80] - mean) / deviation, rel=1e-4, abs=1e-5)
    assert problems.problem_data(4, 80).fingerprint != small_.fingerprint
    with pytest.raises(BadInput, match="from 1 to 400"):
        problems.problem_data(3, 401)
    problems._draw.cache_clear()
    problems.problem_data.cache_clear()


def test_maps_reach_the_full_batch_and_hold_the_linear_rule():
    for name, full in (("synthetic-1k", 640), ("synthetic-10k", 6_400), ("synthetic-50k", 32_000)):
        found = pd.DataFrame([vars(t.run) | {"held": t.held_out} for t in batch_and_rate.map_trials(name)])
        assert found["batch_size"].min() == 1 and found["batch_size"].max() == full == found["n_train"].max()
        assert (found["held"] == full // 4).all() and set(found["warmup_epochs"]) == {0}
        for b, rows in found.groupby("batch_size"):
            assert rows["base_lr"].nunique() >= 13 and len(rows) == 10 * rows["base_lr"].nunique()
            assert rows["base_lr"].max() >= 0.001 * b / 32 / 2**0.5
    images = batch_and_rate.map_trials("mnist", "bf16")
    assert {t.run.warmup_epochs for t in images} == {0} and {t.run.precision for t in images} == {"bf16"}


def test_equal_steps_are_equal_within_one_epoch():
    lengths = {}
    for t in equal_steps.equal_steps_trials() + equal_steps.equal_steps_tuned_trials():
        steps = t.run.epochs * t.run.steps(0)
        wanted = 50 * -(-t.run.n_train // 32)
        assert t.run.epochs == 50 or abs(steps - wanted) <= t.run.steps(0) / 2
        lengths.setdefault((t.run.dataset, t.run.n_train, t.run.batch_size), set()).add(t.run.epochs)
    assert lengths[("synthetic-50k", 40_000, 512)] == {50, 791}  # 62,500 steps, 79 an epoch
    assert lengths[("synthetic-50k", 40_000, 32)] == {50}
    assert lengths[("synthetic-10k", 6_400, 6_400)] == {10_000}


def test_tuned_trials_have_the_seeds_and_held_out_samples_of_the_map():
    tuned = equal_steps.equal_steps_tuned_trials()
    on_the_map = {replace(t, run=replace(t.run, epochs=50)) for t in tuned}
    assert on_the_map < {t for d in equal_steps.TUNED_SIZES for t in batch_and_rate.map_trials(d)}
    assert len(on_the_map) == len(tuned) == 10 * 3 * (10 + 10)


def test_every_study_lists_each_trial_once():
    for study in STUDIES.values():
        trials = study.trials("fp32")
        assert len(set(trials)) == len(trials) > 0
    sizes = data_size.data_size_trials()
    assert {t.problem for t in sizes} == set(data_size.PROBLEMS)
    assert {t.run.n_train for t in sizes if t.run.batch_size == t.run.n_train} == {800, 3_200, 8_000, 40_000}
    assert {t.run.warmup_epochs for t in warm_up.warm_up_trials()} == {0, 5}


def test_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BBATCH_STORE", str(tmp_path))
    with pytest.raises(SystemExit):
        main(["no-such-study"])
    assert "invalid choice" in capsys.readouterr().err
    assert main(["map-synthetic-1k", "--jobs", "0"]) == 2
    assert "number of jobs" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(path.stem for path in table.FOLDER.glob("*.parquet")))
def test_every_committed_row_stands_at_the_address_of_its_trial(name):
    """Rows come from other machines and versions of PyTorch; the runner looks for them here by address, and
    trains again what it does not find."""
    assert (rows := table.table_rows(name))
    for row in rows:
        dataset = row["dataset"] if row["problem"] is None else "synthetic-50k"
        network = None if row["network"] == DATASETS[dataset].network else row["network"]
        run = Run.from_dict(row | {"dataset": dataset, "network": network})
        how = {"patience": row["patience"], "averages": row["averages"] or "running"}
        assert Trial(run, row["n_held_out"], row["problem"], **how).id(row["fingerprint"]) == row["id"]
