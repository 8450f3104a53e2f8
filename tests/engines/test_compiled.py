"""The compiled epoch beside eager PyTorch: same samples and masks, same distribution of results; life
without numba."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bbatch import config, trainer
from bbatch.engines import compiled
from bbatch.engines.compiled import CompiledEngine
from bbatch.engines.eager import TorchEngine
from bbatch.records.store import ROOT
from factories import engine_of, tiny


def run_of(batch, seed=3, n_train=600, epochs=1, **changes):
    return replace(config.plan("synthetic-1k", batch, seed, epochs=epochs, n_train=n_train), **changes)


@pytest.mark.parametrize(
    "batch, n_train, epochs", [(1, 50, 1), (3, 76, 2), (8, 200, 2), (32, 600, 3), (512, 600, 25)]
)
def test_visits_the_same_samples_with_the_same_masks(batch, n_train, epochs):
    """About 50 steps at each batch size, partial last batches among them; a wrong mask or sample would show
    at once."""
    run, data = run_of(batch, n_train=n_train), tiny("synthetic-1k")
    eager, compiled = engine_of(TorchEngine, run, data, "cpu"), engine_of(CompiledEngine, run, data, "cpu")
    for epoch in range(epochs):
        (loss, correct), (loss_compiled, correct_compiled) = (
            eager.train_epoch(epoch),
            compiled.train_epoch(epoch),
        )
        assert loss_compiled == pytest.approx(loss, rel=1e-5)
        assert correct_compiled == correct
    before, after = eager.weights(), compiled.weights()
    assert max((after[k] - before[k]).abs().max().item() for k in before) < 1e-5


@pytest.mark.slow
def test_final_accuracies_have_the_same_distribution():
    """Stated in advance: Mann-Whitney U over 20 seeds each way, different seeds, rejects at p < 0.001."""
    data = tiny("synthetic-1k", n_test=2000)

    def accuracies(kind, seeds):
        found = []
        for seed in seeds:
            engine = engine_of(kind, run_of(32, seed), data, "cpu")
            for epoch in range(10):
                engine.train_epoch(epoch)
            found.append(engine.evaluate(data.test_x, data.test_y)[1] / len(data.test_y))
        return np.array(found)

    compiled, eager = accuracies(CompiledEngine, range(20)), accuracies(TorchEngine, range(100, 120))
    assert min(compiled.min(), eager.min()) > 0.7  # both learn
    assert stats.mannwhitneyu(compiled, eager).pvalue >= 0.001


def test_without_numba_training_goes_on_and_says_so():
    """In a fresh interpreter in which numba cannot be imported."""
    code = (
        "import sys, json; sys.modules['numba'] = None; sys.path.insert(0, 'tests')\n"
        "from factories import tiny; from bbatch import config, trainer\n"
        "run = config.plan('synthetic-1k', 8, 1, epochs=1, n_train=80)\n"
        "out = trainer.train(run, tiny('synthetic-1k'))\n"
        "print(json.dumps([out.engine, out.final]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    engine, final = json.loads(done.stdout)
    with_numba = trainer.train(run_of(8, 1, 80), tiny("synthetic-1k"))
    assert (engine, with_numba.engine) == ("torch", "compiled")
    assert final["test_loss"] == pytest.approx(with_numba.final["test_loss"], rel=1e-5)


@pytest.mark.slow
def test_the_process_that_compiles_and_one_that_loads_the_cache_give_the_same_bits(tmp_path):
    """Compiled in parts, the two were put together differently and rounded differently."""
    code = (
        "import hashlib, torch; from factories import engine_of, tiny\n"
        "from bbatch.config import plan; from bbatch.engines import compiled\n"
        "torch.set_num_threads(1)\n"
        "for b in (1, 32):\n"
        "    run, data = plan('synthetic-1k', b, n_train=600), tiny('synthetic-1k')\n"
        "    e = engine_of(compiled.CompiledEngine, run, data)\n"
        "    e.train_epoch(0); print(hashlib.sha256(e.flat.tobytes()).hexdigest())\n"
    )
    here = Path(__file__).parents[1]
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": f"{here}{os.pathsep}{here.parent}"}
    said = [
        subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert said[0] == said[1] and len(set(said[0].split())) == 2
    assert list(tmp_path.rglob("*.nbc"))  # there was a cache to load from


def test_an_interrupted_epoch_leaves_the_process_as_it_was(monkeypatch):
    """Denormal numbers are flushed to zero within an epoch alone, however it ends."""
    engine, flushed = engine_of(CompiledEngine, run_of(8), tiny("synthetic-1k")), []

    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(compiled, "epoch_of_adam", interrupted)
    monkeypatch.setattr(compiled.torch, "set_flush_denormal", flushed.append)
    with pytest.raises(KeyboardInterrupt):
        engine.train_epoch(0)
    assert flushed == [True, False]
