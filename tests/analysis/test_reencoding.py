"""The paired comparison of two forms of the same images."""

import io
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from bbatch import data, statistics
from bbatch.analysis import reencoding
from bbatch.config import plan
from bbatch.errors import BadInput
from bbatch.files import seal, write_whole
from bbatch.models import build
from bbatch.records.store import Store
from factories import tiny


def test_paired_proportions_against_the_difference_of_single_answers():
    a, b = np.zeros(200), np.zeros(200)
    a[:120], b[10:116] = 1, 1  # 10 + 4 right under a alone, none under b alone ...
    b[150:155] = 1  # ... and five more under b
    only_a, only_b = int(((a == 1) & (b == 0)).sum()), int(((b == 1) & (a == 0)).sum())
    found, p = statistics.paired_proportions(only_a, only_b, 200)
    d = a - b
    assert found.mean == pytest.approx(100 * d.mean())
    assert found.half_width == pytest.approx(100 * 1.959964 * d.std() / np.sqrt(200), rel=1e-6)
    binomial = [2.0**-19 * np.prod([(19 - i) / (i + 1) for i in range(k)]) for k in range(20)]
    assert p == pytest.approx(sum(v for v in binomial if v <= binomial[only_b] * (1 + 1e-9)))
    assert statistics.paired_proportions(0, 0, 5)[1] == 1.0
    with pytest.raises(BadInput, match="do not fit"):
        statistics.paired_proportions(4, 2, 5)


def test_networks_with_kept_weights_are_measured_once(tmp_path, monkeypatch):
    source = tiny("cifar10")
    exact = torch.randint(0, 256, (40, 32, 32, 3), dtype=torch.uint8)
    labels, rows = source.test_y[:40], torch.arange(40)
    monkeypatch.setattr(data, "load", lambda name, *a, **k: source)
    monkeypatch.setattr(data, "exact_cifar10_test", lambda: (exact, labels, rows))
    store, path = Store(tmp_path / "store", frozen=None).prepare(), tmp_path / "reencoding.csv"
    run, net = plan("cifar10", 64), build("cifar-cnn", 3)
    key = run.key(source.fingerprint)
    record = {
        "id": key,
        "run": asdict(run),
        "seeds": {},
        "data": {"fingerprint": source.fingerprint},
        "history": {},
        "final": {},
        "observed": {},
    }
    store.put(record)
    assert reencoding.measure(store, path) == []  # no weights
    buffer = io.BytesIO()
    torch.save(net.state_dict(), buffer)
    write_whole(store.weights / f"{key}.pt", seal(buffer.getvalue()))
    [row] = reencoding.measure(store, path)
    with torch.no_grad():
        answers = [
            [int(net(source.inputs(image[None])).argmax()) for image in some]
            for some in (source.test_x[:40], exact)
        ]
    right = np.array(answers) == labels.numpy()
    assert (row["right_mirror"], row["right_exact"]) == (right[0].sum(), right[1].sum())
    assert (row["only_mirror"], row["only_exact"]) == (
        (right[0] & ~right[1]).sum(),
        (right[1] & ~right[0]).sum(),
    )
    assert reencoding.measure(store, path) == [] and len(reencoding.recorded(path)) == 1


def test_the_page_says_what_is_not_measured_and_what_is():
    assert "not been measured" in reencoding.sentence(reencoding.recorded(Path("nowhere")))
    table = pd.DataFrame(
        [["x", 32, "linear", "bf16", 42, 1000, 600, 620, 10, 30]], columns=reencoding.COLUMNS
    )
    assert "is +2.0\u00a0±\u00a0" in reencoding.sentence(table) and "one network" in reencoding.sentence(
        table
    )
    twice = pd.concat([table, table.assign(right_exact=580, only_exact=10, only_mirror=30)])
    assert "between −2.0 and +2.0 points for the 2 networks" in reencoding.sentence(twice)
    assert reencoding.formatted(reencoding.effect(table))["exact − mirror (points)"][0].startswith("+2.0")
