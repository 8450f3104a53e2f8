"""Bad input: one sentence that names it and what is allowed, exit code 2, nothing written, no traceback."""

import json
import math
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bbatch import cli, config, data, models, parser, published, statistics
from bbatch.analysis import critical_batch_size, timings
from bbatch.config import Run, plan
from bbatch.errors import BadInput, StoreError
from bbatch.metrics import frame
from bbatch.pages import report, tables
from bbatch.profiles import grid
from bbatch.publishing import notebooks
from bbatch.records.store import Store, _document
from bbatch.sweeping import dask_cluster, verify
from bbatch.sweeping.sweep import sweep
from factories import record_of_four_epochs as record

SETS, RULES, PROFILES = "synthetic-1k", r"constant, linear, sqrt", "smoke, quick, paper"
RUN = ["run", "synthetic-1k", "--batch-size", "32"]


def sentence(text):
    assert text.endswith(".") and "\n" not in text and "Traceback" not in text and len(text) > 20, text
    return text


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty store, and no data but what is made on the spot; sweeping is refused: nothing gets there."""
    monkeypatch.setenv("BBATCH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("BBATCH_DATA", raising=False)
    return tmp_path


def files_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


# Words of the command line, and what the sentence must say.
COMMANDS = [
    ([], "arguments are required: COMMAND"),
    (["swep"], "invalid choice: 'swep'"),
    ([""], "invalid choice"),
    (["--version"], "required|unrecognized"),
    (["sweep", "--bogus"], "unrecognized arguments: --bogus"),
    (["sweep", "a\nb", "--x\ny"], "unrecognized"),
    (["data", "extra"], "unrecognized arguments: extra"),
    (["notebook"], r"required: NAME \("),
    (["notebook", "99"], "notebook '99' is unknown; allowed are 01_"),
    (["notebook", "03_mnist", "seeds=1e400"], "parameter 'seeds' of 03_mnist is inf; it must be of type int"),
    (["freeze", "mnist"], "unrecognized arguments: mnist"),
    (["notebooks", "--seeds", "3"], "unrecognized"),
    # run
    (["run"], "required: DATASET, --batch-size"),
    (["run", "mnist"], "required: --batch-size"),
    (["run", "minst", "--batch-size", "32"], f"data set 'minst' is unknown; allowed are {SETS}"),
    (["run", "MNIST", "--batch-size", "32"], "data set 'MNIST' is unknown; allowed are"),
    (["run", "", "--batch-size", "32"], "data set '' is unknown"),
    (["run", "../mnist", "--batch-size", "32"], r"data set '../mnist' is unknown"),
    (["run", "$(reboot)", "--batch-size", "32"], r"data set '\$\(reboot\)' is unknown"),
    (["run", "a\nb", "--batch-size", "32"], r"data set 'a\\nb' is unknown"),
    *[
        (
            ["run", "synthetic-1k", "--batch-size", b],
            f"batch size is {b}; it must be a whole number from 1 to 800",
        )
        for b in ("0", "-1", "801", "1000000000000")
    ],
    (["run", "mnist", "--batch-size", "60001"], "batch size is 60001; .* from 1 to 60000"),
    *[
        (["run", "synthetic-1k", "--batch-size", b], "argument --batch-size: invalid int value")
        for b in ("1e3", "32.0", "many", "", " ", "0x20", "nan", "9" * 5000)
    ],
    (["run", "synthetic-1k", "--batch-size"], "argument --batch-size: expected one argument"),
    *[
        (RUN + ["--seed", s], f"seed is {s}; it must be a whole number from 0 to 4294967295")
        for s in ("-1", "4294967296")
    ],
    (RUN + ["--seed", "x"], "argument --seed: invalid int value: 'x'"),
    *[
        (RUN + ["--epochs", e], f"number of epochs is {e}; it must be a whole number of at least 1")
        for e in ("0", "-3")
    ],
    (RUN + ["--epochs", "2.5"], "argument --epochs: invalid int value: '2.5'"),
    *[
        (RUN + ["--base-lr", r], "base_lr is .*; it must be a finite number above 0")
        for r in ("0", "-0.1", "nan", "inf", "1e400", "-0.0")
    ],
    (RUN + ["--base-lr", "-inf"], "argument --base-lr: expected one argument"),
    (RUN + ["--base-lr", "fast"], "argument --base-lr: invalid float value: 'fast'"),
    (RUN + ["--warmup-epochs", "-1"], "number of warm-up epochs is -1; .* at least 0"),
    (RUN + ["--warmup-epochs", "x"], "argument --warmup-epochs: invalid int value: 'x'"),
    *[
        (RUN + ["--lr-rule", r], f"learning-rate rule '{r}' is unknown; allowed are {RULES}")
        for r in ("quadratic", "LINEAR", "", "lin")
    ],
    *[
        (RUN + ["--precision", p], f"precision '{p}' is unknown; allowed are fp32, bf16")
        for p in ("fp16", "32", "float32")
    ],
    *[
        (RUN + ["--device", d], f"device '{d}' cannot be used here; allowed are cpu")
        for d in ("gpu", "tpu", "", "CPU", "cpu:7")
    ],
    # sweep
    (["sweep", "minst"], "data set 'minst' is unknown"),
    (["sweep", "mnist", "minst"], "data set 'minst' is unknown"),
    *[
        (["sweep", "--profile", p], f"profile '{p}' is unknown; allowed are {PROFILES}")
        for p in ("full", "", "Paper")
    ],
    *[
        (
            ["sweep", "synthetic-1k", "--profile", "smoke", "--seeds", s],
            f"number of seeds is {s}; it must be a whole",
        )
        for s in ("0", "-2", "1000000000")
    ],
    (["sweep", "--seeds", "two"], "argument --seeds: invalid int value: 'two'"),
    *[
        (
            ["sweep", "synthetic-1k", "--profile", "smoke", "--jobs", j],
            f"number of jobs is {j}; it must be a whole number of at least 1",
        )
        for j in ("0", "-1")
    ],
    (["sweep", "--jobs", "all"], "argument --jobs: invalid int value: 'all'"),
    (["sweep", "--lr-rule", "cubic"], "learning-rate rule 'cubic' is unknown"),
    (["sweep", "--precision", "fp8"], "precision 'fp8' is unknown"),
    *[
        (
            ["sweep", "synthetic-1k", "--profile", "smoke", "--device", d, *more],
            f"device '{d}' cannot be used here; allowed are",
        )
        for d in ("abacus", "cuda:99")
        for more in ([], ["--executor", "dask"])
    ],
    *[
        (
            ["sweep", "synthetic-1k", "--profile", "smoke", "--executor", e],
            f"executor '{e}' is unknown; allowed are processes, dask",
        )
        for e in ("", "slurm", "dask://", "dask://h:0", "dask://127.0.0.1:65536", "dask://h:1/x")
    ],
    # geometry
    (
        ["geometry", "minst"],
        "data set with measurements of geometry 'minst' is unknown; allowed are synthetic-50k",
    ),
    *[
        (["geometry", "mnist", "--seeds", n], f"number of seeds is {n}; it must be a whole number from 1 to")
        for n in ("0", "-1", "10001")
    ],
    # results, tables, verify
    (["results", "minst"], "data set 'minst' is unknown"),
    (["results", "mnist", "mnist "], "data set 'mnist ' is unknown"),
    *[(["tables", n], "table .*1.*8|allowed are") for n in ("0", "9", "-1", "300")],
    (["tables"], "required: N"),
    (["tables", "IV"], "argument N: invalid int value: 'IV'"),
    (["verify", "minst"], "data set 'minst' is unknown"),
    (["verify", "--integrity", "nope"], "--integrity looks at all that is committed: it takes no data set"),
    (["verify", "--integrity", "--sample", "5"], "it takes no data set or --sample"),
    *[
        (["verify", "--sample", k], f"sample is {k}; it must be a whole number from 1 to|no record of")
        for k in ("0", "-1", "100000000")
    ],
    (["verify", "--seed", "-1"], "seed is -1; it must be a whole number of at least 0|no record of"),
    (["verify", "synthetic-1k", "--device", "tpu"], "device 'tpu' cannot be used here|no record of"),
    # claims, recommend
    (["claims", "--section", "IX"], "section 'IX' is unknown; allowed are abstract, I,"),
    (["claims", "--id"], "argument --id: expected at least one"),
    (["claims", "--id", "x"], "claim 'x' is unknown"),
    (["recommend"], "give either a built-in problem, or both"),
    (["recommend", "tea"], "problem 'tea' is unknown; allowed are"),
    (["recommend", "digits", "--model", "a:b"], "give either"),
    (["recommend", "--model", "a:b"], "give either"),
    *[
        (
            ["recommend", "digits", "--epochs", "1", "--budget", b],
            f"budget is {b}; it must be a finite number above 0",
        )
        for b in ("0.0", "-1.0", "nan", "inf")
    ],
    *[
        (["recommend", "--model", m, "--data", "x:y"], f"--model '{re.escape(m)}'.* {said}")
        for m, said in (
            (":", "cannot be read; write module:function"),
            ("nowhere:f", "'nowhere' cannot be imported"),
            (".a:f", r"'\.a' cannot be imported \(TypeError: \w.*\)"),
            ("os:sep", "is of type str; it must be a function without arguments."),
            ("os:nothing", "has no 'nothing'"),
            ("a b:f", "cannot be imported"),
        )
    ],
    *[
        (["recommend", "--model", "os:getcwd", "--data", d], f"--data '{d}' {said}")
        for d, said in (("sys:exit", "failed .SystemExit: "), ("math:sqrt", "failed .TypeError: "))
    ],
    (
        ["recommend", "--model", "os:getcwd", "--data", "os:getcwd"],
        "the whole data is of type str, which has no rows",
    ),
    (["verify", "--sample", "some"], "argument --sample: invalid int value: 'some'"),
]


@pytest.mark.parametrize(
    "words, said", COMMANDS, ids=lambda v: " ".join(v)[:40].replace("\n", "~") if isinstance(v, list) else ""
)
def test_command_line(words, said, place, capsys):
    assert cli.main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("bbatch: ") and printed.err.count("\n") == 1
    assert re.search(said, sentence(printed.err[:-1])), printed.err
    assert files_in(place) == []


@pytest.mark.parametrize("words", [["sweep", "synthetic-1k", "--profile", "smoke"], RUN, ["results"]])
@pytest.mark.parametrize("kind", ["file", "below a file", "too long a name"])
def test_a_store_that_cannot_be(kind, words, place, monkeypatch, capsys):
    (place / "file").write_text("not a folder")
    path = {
        "file": place / "file",
        "below a file": place / "file" / "store",
        "too long a name": place / ("x" * 300),
    }[kind]
    monkeypatch.setenv("BBATCH_STORE", str(path))
    code, printed = cli.main(words), capsys.readouterr()
    if words == ["results"] and kind != "file":
        assert code in (0, 2)  # there is nothing to read: no rows, or a sentence
    else:
        assert code == 2 and "BBATCH_STORE" in printed.err
    assert printed.err == "" or sentence(printed.err[:-1])
    assert files_in(place) == ["file"]


@pytest.mark.parametrize("url", ["://", "file:///proc/nowhere", "s3://key:secret@host/runs"])
@pytest.mark.parametrize("words", [["results"], RUN])
def test_an_address_is_no_store_and_its_password_is_not_shown(words, url, place, monkeypatch, capsys):
    monkeypatch.setenv("BBATCH_STORE", url)
    monkeypatch.chdir(place)
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert "BBATCH_STORE" in sentence(said[:-1]) and "secret" not in said
    assert files_in(place) == []


@pytest.mark.parametrize(
    "address", ["dask://user:secret@host:8786", "tcp://secret@host", "dask://a:secret@b@c"]
)
def test_no_sentence_holds_the_password_of_an_address(address, place, monkeypatch, capsys):
    sweeping = ["sweep", "synthetic-1k", "--executor", address]
    for words in (sweeping, [address], ["tables", address], ["run", address, *RUN[2:]]):
        assert cli.main(words) == 2
        said = capsys.readouterr().err
        assert sentence(said.splitlines()[-1]) and "secret" not in said and "://***@" in said
    with pytest.raises(BadInput) as refused, dask_cluster.executor(address):
        pass
    assert "secret" not in str(refused.value)  # as a notebook shows it


@pytest.mark.parametrize("words", [["results"], RUN])
def test_a_store_that_is_a_link_to_nowhere(words, place, monkeypatch, capsys):
    for name, target in (("loop", "loop"), ("broken", "nowhere")):
        (place / name).symlink_to(place / target)
        monkeypatch.setenv("BBATCH_STORE", str(place / name))
        assert cli.main(words) == 2 and "BBATCH_STORE" in sentence(capsys.readouterr().err[:-1])


def test_a_cache_folder_that_cannot_be_made(place, monkeypatch, capsys):
    data._read.cache_clear()
    (place / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "file"))
    assert cli.main(["run", "mnist", "--batch-size", "32"]) == 2
    assert re.search(
        r"cannot be made \(Not a directory\); name a writable one in XDG_CACHE_HOME", capsys.readouterr().err
    )


def test_an_output_that_is_closed_is_no_error(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)  # what Python does with `bbatch notebooks >&-`
    assert cli.main(["notebooks"]) == 0


@pytest.mark.parametrize(
    "words", [["run", "mnist", "--batch-size", "32"], ["sweep", "cifar10", "--profile", "smoke"]]
)
def test_a_data_folder_that_is_not_one(words, place, monkeypatch, capsys):
    data._read.cache_clear()  # what another test read would serve
    monkeypatch.setenv("BBATCH_DATA", str(place / "nowhere"))
    assert cli.main(words) == 2
    assert "BBATCH_DATA names" in sentence(capsys.readouterr().err[:-1])


# Public functions with arguments that cannot be; the sentence must say this.
nan = math.nan
CALLS = [
    *[
        (lambda b=b: plan("synthetic-1k", b), "batch size is .*; it must be a whole number from 1 to 800")
        for b in (0, -1, 801, 1.0, "8", None, True, nan, [8], 10**30)
    ],
    *[
        (lambda d=d: plan(d, 8), "data set .* is unknown; allowed are synthetic-1k")
        for d in ("", "x", None, 3, b"mnist", ("mnist",))
    ],
    *[
        (lambda s=s: plan("synthetic-1k", 8, s), "seed is .*; it must be a whole number from 0")
        for s in (-1, 1.5, "7", 2**32, None, False)
    ],
    *[
        (
            lambda e=e: plan("synthetic-1k", 8, epochs=e),
            "number of epochs is .*; it must be a whole number of at least 1",
        )
        for e in (0, -1, 2.0, "2", True)
    ],
    *[
        (lambda r=r: plan("synthetic-1k", 8, base_lr=r), "base_lr is .*; it must be a finite number above 0")
        for r in (0, -1, nan, math.inf, "0.1", True, [0.1], 1j)
    ],
    *[
        (
            lambda n=n: plan("synthetic-1k", 8, n_train=n),
            "number of training samples is .*; .* from 1 to 800|batch size is 8",
        )
        for n in (0, -1, 801, 7, 1.5, "100")
    ],
    *[
        (
            lambda r=r: plan("synthetic-1k", 8, lr_rule=r),
            f"learning-rate rule .* is unknown; allowed are {RULES}",
        )
        for r in ("x", None, 1)
    ],
    (
        lambda: plan("synthetic-1k", 8, precision="fp16"),
        "precision 'fp16' is unknown; allowed are fp32, bf16",
    ),
    *[
        (lambda k=k, v=v: Run.from_dict({**plan("synthetic-1k", 8).as_dict(), k: v}), said)
        for k, v, said in (
            ("optimizer", "lion", "optimizer 'lion' is unknown; allowed are adam, sgd"),
            ("momentum", -0.1, "momentum is -0.1; .* at least 0"),
            ("momentum", nan, "momentum is nan"),
            ("weight_decay", math.inf, "weight_decay is inf; .* at least 0"),
            ("warmup_epochs", -1, "number of warm-up epochs is -1"),
            ("base_batch", 0, "base batch size is 0"),
        )
    ],
    *[
        (lambda p=p: grid(["mnist"], p), f"profile .* is unknown; allowed are {PROFILES}")
        for p in ("", "all", None, 1)
    ],
    *[
        (lambda s=s: grid(["synthetic-1k"], "smoke", s), "number of seeds is .*; it must be a whole number")
        for s in (0, -1, 1.5, "3", True)
    ],
    (lambda: grid(["nothing"], "smoke"), "data set 'nothing' is unknown"),
    *[(lambda n=n: data.load(n), "data set .* is unknown; allowed are") for n in ("x", "", None)],
    *[
        (lambda d=d: data.load("synthetic-1k", d), "device .* cannot be used here; allowed are cpu")
        for d in ("abacus", "cuda:99", "", None, 3, "CPU")
    ],
    *[
        (lambda v=v: Run.from_dict(v), "the fields of a run lack dataset, batch_size, .*; all of them")
        for v in ({}, None, [], {"seed": 1}, "x")
    ],
    *[
        (
            lambda j=j: sweep([], Store("nowhere", None), jobs=j),
            "number of jobs is .*; it must be a whole number of at least 1",
        )
        for j in (0, -5, 1.5, "2", True)
    ],
    *[
        (lambda r=r: sweep(r, Store("nowhere", None)), "is no run; `config.plan` makes one")
        for r in ("mnist", [{"dataset": "mnist"}], [None], [1])
    ],
    *[
        (
            lambda d=d: sweep([plan("synthetic-1k", 8)], Store("nowhere", None), device=d),
            "device .* cannot be used here",
        )
        for d in ("abacus", None, "cuda:99")
    ],
    *[
        (lambda i=i: Store("nowhere", None).put({"id": i}), "cannot be the id of a record")
        for i in ("../../x", "a/b", "", "a.b")
    ],
    (lambda: Store("nowhere", None).freeze(), "without a folder of committed records"),
    *[
        (lambda e=e: dask_cluster.executor(e).__enter__(), "executor .* is unknown")
        for e in (None, 3, b"dask", "dask://h:0")
    ],
    *[
        (lambda d=d: dask_cluster.executor("dask", device=d).__enter__(), "device .* cannot be used here")
        for d in ("abacus", None)
    ],
    *[
        (lambda s=s: timings.overheads(None, s), "duration of a run in seconds is .*; it must be")
        for s in (0, -1.0, nan, math.inf)
    ],
    *[
        (
            lambda k=k: verify.random_sample({"a": record()}, sample=k),
            "sample is .*; it must be a whole number from 1 to 1",
        )
        for k in (0, 2, 1.5, "1", True, nan)
    ],
    *[
        (
            lambda s=s: verify.random_sample({"a": record()}, sample=1, seed=s),
            "seed is .*; it must be a whole number of at least 0",
        )
        for s in (-1, nan, "x", None)
    ],
    (lambda: verify.again([record()], jobs=1), "synthetic-1k here is .* put those files in BBATCH_DATA"),
    (
        lambda: report.obtain(["synthetic-1k"], "smoke", 1, compute=True, device="abacus"),
        "device 'abacus' cannot be used here",
    ),
    *[(lambda n=n: tables.by_number(n, frame([])), "allowed are|1 to 8") for n in (0, 9, "4", None)],
    (lambda: published.results("x"), "data set 'x' is unknown"),
    (lambda: published.value("x"), "statement 'x' is unknown"),
    (lambda: published.statements("IX"), "section 'IX' is unknown"),
    (lambda: models.build("resnet", 1), "network 'resnet' is unknown"),
    (lambda: report.obtain(["x"]), "data set 'x' is unknown"),
    (lambda: report.obtain(["mnist"], "x"), "profile 'x' is unknown"),
    (lambda: report.obtain(["mnist"], precision="x"), "precision 'x' is unknown"),
    (lambda: report.obtain(["mnist"], "smoke", compute=True, executor="x"), "executor 'x' is unknown"),
    (lambda: verify.sweep_again("x", "smoke", 1), "data set 'x' is unknown"),
    *[
        (lambda c=c, n=n: statistics.proportion_interval(c, n), "is no proportion")
        for c, n in ((1, 0), (-1, 5), (6, 5))
    ],
    (lambda: statistics.paired_difference([1, 2], [1]), "needs pairs"),
    (lambda: statistics.pearson([1, 2, 3], [1, 2, 3]), "four pairs"),
    (lambda: statistics.pearson([1] * 5, [1, 2, 3, 4, 5]), "vary"),
    (lambda: statistics.power_law([1, 2, -3], [1, 2, 3]), "above 0"),
    (lambda: critical_batch_size.critical_batch_size({8: 90.0}), "two batch sizes or more"),
    (lambda: critical_batch_size.critical_batch_size({8: 90.0, 16: 80.0}, 0), "drop above 0"),
    *[
        (lambda n=n: notebooks.find(n), "notebook .* (is unknown; allowed are|is not a file)")
        for n in ("99", "x", "", "a.ipynb")
    ],
    *[
        (lambda p=p: notebooks.parse([p]), "cannot be read; write name=value")
        for p in ("", "seeds", "=3", "a b=3", "1x=3", "a-b=1")
    ],
]


@pytest.mark.parametrize("call, said", CALLS, ids=[f"{k}" for k in range(len(CALLS))])
def test_public_function(call, said, place):
    with pytest.raises(BadInput) as refusal:
        call()
    assert re.search(said, sentence(str(refusal.value))), refusal.value
    assert files_in(place) == []


# Parameters of committed notebooks.
WRONG = {"int": ("3", 1.5, None, [1]), "str": (3, None), "bool": (1, "yes"), "float": ("x", None)}
PARAMETERS = [
    (path.stem, row["parameter"], wrong)
    for path in notebooks.paths()
    for row in notebooks.parameters_of(path)
    for wrong in WRONG.get(row["type"], ("x", 3, {"a": 1}))
]


@pytest.mark.parametrize("name, parameter, wrong", PARAMETERS)
def test_notebook_parameter(name, parameter, wrong):
    said = f"parameter '{parameter}' of {name} is .*; it must be of type .*, such as "
    with pytest.raises(BadInput, match=said) as refusal:
        notebooks.check_parameters(notebooks.find(name), {parameter: wrong})
    sentence(str(refusal.value))


@pytest.mark.parametrize("path", notebooks.paths(), ids=lambda path: path.stem)
@pytest.mark.parametrize("name", ["sede", "", "__import__", "Seeds"])
def test_notebook_parameter_that_is_not_there(name, path):
    with pytest.raises(BadInput, match=f"parameter of {path.stem} {name!r} is unknown; allowed are "):
        notebooks.check_parameters(path, {name: 1})


CONTENTS = [
    b"",
    b" ",
    b"null",
    b"1",
    b"[]",
    b"{}",
    b'"text"',
    b"{" * 100_000,
    b"[" * 100_000,
    b"\x80\x04\x95pickle.",
    b"\xff\xfe\x00",
    b'{"record": null, "sha256": null}',
    b'{"record": {}, "sha256": ""}',
    b"NaN",
    b"\x00" * 4096,
    b"__import__('os').system('true')",
    b'{"sha256": "0", "record": {"id": "x"}}',
]


@pytest.mark.parametrize("content", CONTENTS, ids=lambda c: repr(c[:20]))
def test_a_record_that_is_none(content, tmp_path):
    store = Store(tmp_path / "live", tmp_path / "results").prepare()
    path = store.folder / "records" / "0123456789abcdef.json"
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="is set aside"):
        assert store.records() == {}
    assert files_in(tmp_path) == ["live/records/0123456789abcdef.json.damaged"]


def test_a_record_that_lacks_a_part(tmp_path):
    """Its checksum is right, but no `put` of ours wrote it."""
    store = Store(tmp_path / "live", None).prepare()
    for part in record():
        lacking = {k: v for k, v in (record() | {"id": "0123"}).items() if k != part}
        (store.folder / "records" / "0123.json").write_bytes(_document(lacking))
        with pytest.warns(UserWarning, match="0123.json is set aside"):
            assert store.live() == {}, part


@pytest.mark.parametrize(
    "content",
    [
        *CONTENTS,
        b'{"cells": [], "metadata": {}, "nbformat": 3, "nbformat_minor": 0}',
        b'{"cells": 3, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
        b'{"cells": [{"cell_type": "code"}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
    ],
    ids=lambda c: repr(c[:20]),
)
def test_a_notebook_that_is_none(content, tmp_path, capsys):
    path = tmp_path / "n.ipynb"
    path.write_bytes(content)
    assert cli.main(["notebook", str(path), "a=1"]) == 2
    assert "cannot be read as a notebook" in sentence(capsys.readouterr().err[:-1])
    assert files_in(tmp_path) == ["n.ipynb"] and path.read_bytes() == content


def test_a_notebook_without_parameters_takes_none(tmp_path):
    path = tmp_path / "n.ipynb"
    path.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    with pytest.raises(BadInput, match="parameter of n 'a' is unknown; there are none"):
        notebooks.check_parameters(path, {"a": 1})


@pytest.mark.parametrize("content", CONTENTS, ids=lambda c: repr(c[:20]))
@pytest.mark.parametrize("name", ["mnist.parquet", "SHA256SUMS", "observed/synthetic-1k.parquet"])
def test_a_frozen_file_that_is_none(name, content, tmp_path):
    store = Store(tmp_path / "live", tmp_path / "results").prepare()
    store.put(record())
    store.freeze()
    (store.frozen / name).write_bytes(content)
    with pytest.raises(StoreError, match="restore it and SHA256SUMS") as refusal:
        store.frozen_records()
    sentence(str(refusal.value))


@pytest.mark.parametrize("content", CONTENTS, ids=lambda c: repr(c[:20]))
def test_stray_files_in_a_store_disturb_nothing(content, tmp_path):
    store = Store(tmp_path / "live", tmp_path / "results").prepare()
    for name in (
        "checkpoints/notes.pt",
        "checkpoints/a.b.pt",
        "checkpoints/a.b.c.d.pt",
        "records/notes.txt",
        "notes",
        "locks/x",
    ):
        (store.folder / name).write_bytes(content)
    runs = [plan("synthetic-1k", 256, 1, epochs=1)]
    with ThreadPoolExecutor(1) as executor:
        assert len(sweep(runs, store, executor=executor, progress=False)) == 1


# Anything at all.
plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=9)
anything = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
quiet = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@quiet
@given(
    st.sampled_from(
        ["dataset", "batch_size", "seed", "epochs", "lr_rule", "base_lr", "n_train", "precision"]
    ),
    anything,
)
def test_any_value_of_a_plan_is_taken_or_refused_in_a_sentence(name, value):
    try:
        run = plan(**{"dataset": "synthetic-1k", "batch_size": 8, name: value})
    except BadInput as refusal:
        sentence(str(refusal))
    else:
        assert Run.from_dict(json.loads(json.dumps(run.as_dict()))) == run
        assert re.fullmatch("[0-9a-f]{16}", run.key("f"))


@quiet
@given(
    st.lists(
        st.sampled_from(
            [
                "run",
                "sweep",
                "results",
                "tables",
                "verify",
                "--seeds",
                "--jobs",
                "--profile",
                "--json",
                "0",
                "-1",
                "mnist",
                "--batch-size",
                "x",
            ]
        )
        | st.text(max_size=6),
        max_size=5,
    )
)
def test_any_words_on_the_command_line(words):
    try:
        parser.parser().parse_args(words)
    except BadInput as refusal:
        sentence(str(refusal))
    except SystemExit as stop:  # --help
        assert stop.code == 0


@quiet
@given(st.text(max_size=40))
def test_any_text_as_a_parameter(text):
    try:
        values = notebooks.parse([text])
    except BadInput as refusal:
        sentence(str(refusal))
    else:
        assert len(values) == 1


@quiet
@given(st.binary(max_size=300))
def test_any_bytes_as_a_record(tmp_path_factory, content):
    store = Store(tmp_path_factory.mktemp("store"), None).prepare()
    (store.folder / "records" / "k.json").write_bytes(content)
    with pytest.warns(UserWarning, match="k.json is set aside"):
        assert store.live() == {}


@quiet
@given(st.sampled_from(["sample", "seed"]), st.integers(-3, 10**6))
def test_any_sample(name, value):
    committed = {f"{k}": record() | {"id": f"{k}"} for k in range(4)}
    try:
        chosen = verify.random_sample(committed, **{name: value})
    except BadInput as refusal:
        sentence(str(refusal))
    else:
        assert 1 <= len({r["id"] for r in chosen}) == len(chosen) <= 4


def test_there_are_enough_of_them():
    assert len(COMMANDS) + len(CALLS) + len(PARAMETERS) + 5 * len(CONTENTS) >= 150


def test_nothing_read_from_disk_is_unpickled_or_evaluated_and_no_shell_is_used():
    """By name: whoever adds one of these must come here and justify it.

    The official batches of CIFAR-10 are pickles, and torchvision unpickles them: `data` lets it do so only
    once the md5 of each is that of the official release, so that what is unpickled is known bytes.
    `memory_limit` sends the reader's own model to a process of its own through cloudpickle, by a pipe; what
    comes back is text.
    """
    forbidden = (
        r"\bpickle\b|(?<![.\w])eval\(|\bexec\(|shell\s*=\s*True|os\.system|os\.popen"
        r"|weights_only\s*=\s*False|allow_pickle\s*=\s*True"
    )
    for path in Path(config.__file__).parent.rglob("*.py"):
        text = path.read_text()
        assert not re.search(forbidden, text), path.name
        assert text.count("torch.load(") == text.count("weights_only=True"), path.name
