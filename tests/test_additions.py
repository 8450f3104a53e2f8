"""A data set, a network with batch normalization, an optimizer, a rule for the learning rate and a schedule
of batch sizes, each added from outside the package by one entry (additions.py), and trained like the paper's
own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import bbatch
from bbatch import config, data, engines, extensions, metrics, models, optimizers, streams, trainer
from bbatch.errors import BadInput
from factories import record_of_four_epochs, state_after_one_epoch


def test_a_training_of_additions_is_the_plain_loop(added):
    """Whole batches through batch normalization, AdamW at the added rule's rate, batch sizes that double
    while the rate halves."""
    how = {"lr_rule": "cube-root", "batch_schedule": "doubling", "lr_schedule": "halving"}
    run = config.plan("digits", 48, epochs=2, **how)
    ours = trainer.train(run, added)
    net = models.build("normalized-cnn", streams.seeds_of(run.seed).init)
    optimizer = torch.optim.AdamW(net.parameters(), 0.005 * 1.5 ** (1 / 3), weight_decay=0.01)
    for epoch, size in enumerate((48, 96)):
        optimizer.param_groups[0]["lr"] = 0.005 * 1.5 ** (1 / 3) / 2**epoch
        order = torch.from_numpy(streams.order(streams.seeds_of(run.seed), epoch, 1437))
        for part in order.split(size):
            optimizer.zero_grad()
            x = (added.train_x[part].permute(0, 3, 1, 2) / 255 - 0.3) / 0.37
            F.cross_entropy(net(x), added.train_y[part]).backward()
            optimizer.step()
    for name, value in net.state_dict().items():
        assert torch.allclose(ours.weights[name].to(value.dtype), value, atol=2e-3), name
    with torch.no_grad():
        logits = net.eval()((added.test_x.permute(0, 3, 1, 2) / 255 - 0.3) / 0.37)
    assert abs(ours.final["test_correct"] - int((logits.argmax(1) == added.test_y).sum())) <= 3
    assert ours.final["test_correct"] > 250


def test_an_added_metric_is_a_column_of_every_frame(added):
    failed = record_of_four_epochs(seed=43)
    failed["observed"]["failure"], failed["history"], failed["final"] = "out of memory", {}, {}
    table = metrics.frame([record_of_four_epochs(test=(150, 170, 160, 161)), failed])
    assert table["test_acc"][0] == 80.5 and table["best_test_acc"][0] == 85.0
    assert table["best_test_acc"].isna().tolist() == [False, True]
    assert "best_test_acc" in metrics.frame([])


def test_buffers_survive_interruption(added, tmp_path):
    run = config.plan("digits", 32)
    whole = trainer.train(run, added)
    checkpoint = trainer.Checkpoint(tmp_path, "a")
    checkpoint.write(1, state_after_one_epoch(run, added, "the torch engine on cpu"))
    resumed = trainer.train(run, added, checkpoint=checkpoint)
    assert resumed.final == whole.final
    assert all(
        torch.equal(a, b) for a, b in zip(whole.weights.values(), resumed.weights.values(), strict=True)
    )
    assert any("running_mean" in name for name in whole.weights)


def test_additions_have_addresses_of_their_own(added):
    run = config.plan("synthetic-1k", 32, epochs=4)
    keys = {run.key("f")} | {
        config.plan("synthetic-1k", 32, epochs=4, **how).key("f")
        for how in (
            {"network": "normalized-cnn"},
            {"lr_rule": "cube-root"},
            {"batch_schedule": "doubling"},
            {"lr_schedule": "halving"},
        )
    }
    assert len(keys) == 5
    assert config.Run.from_dict(run.as_dict()) == run and "network" not in run.as_dict()


def test_only_what_is_compiled_is_trained_by_the_compiled_engine(monkeypatch):
    """Another activation under the same name, other betas, a second group: PyTorch trains them."""
    samples = data.load("synthetic-1k")
    run = config.plan("synthetic-1k", 32)
    recipe = engines.recipe_of(run)
    assert engines.fastest_engine(models.mlp(), samples, recipe, "cpu").name == "compiled"
    other = models.mlp()
    other[1] = nn.Tanh()
    assert engines.fastest_engine(other, samples, recipe, "cpu").name == "torch"

    def slower_moments(parameters, lr, **_):
        return torch.optim.Adam(parameters, lr, betas=(0.8, 0.999))

    monkeypatch.setitem(optimizers.OPTIMIZERS, "adam", slower_moments)
    assert engines.engine_for(run, samples, "cpu").name == "torch"


def test_the_processes_of_a_sweep_know_the_additions(tmp_path):
    """From the command line, in an environment of its own."""
    here = Path(__file__).parent
    environment = os.environ | {
        "BBATCH_EXTENSIONS": "additions",
        "BBATCH_STORE": str(tmp_path),
        "PYTHONPATH": f"{here}{os.pathsep}{Path(bbatch.__file__).parent.parent}",
    }
    command = [sys.executable, "-m", "bbatch", "sweep", "digits", "--seeds", "1", "--jobs", "1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "records").glob("*.json"))) == 2


def test_an_extension_that_fails_is_named(monkeypatch, tmp_path):
    (tmp_path / "mistyped.py").write_text("import bbatch\nbbatchh.config\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("BBATCH_EXTENSIONS", "mistyped")
    said = r"names 'mistyped', which cannot be imported \(NameError: name 'bbatchh' is not defined"
    with pytest.raises(BadInput, match=said):
        extensions.import_named()


def test_a_missing_extension_is_named(monkeypatch):
    monkeypatch.setenv("BBATCH_EXTENSIONS", "nowhere_at_all")
    with pytest.raises(BadInput, match="BBATCH_EXTENSIONS names 'nowhere_at_all', which cannot be imported"):
        extensions.import_named()
