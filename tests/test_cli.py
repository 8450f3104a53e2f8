"""The command line where its output is closed, knows few letters, or is a terminal that obeys."""

import json
import os
import subprocess
import sys

import pytest

from bbatch import cli, commands
from bbatch.config import plan
from bbatch.errors import BadInput
from bbatch.records import integrity
from bbatch.repository import ROOT
from factories import record_of_four_epochs as record


def bbatch(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **environment):
    command = [sys.executable, "-m", "bbatch", *words]
    return subprocess.run(
        command, cwd=ROOT, stdout=stdout, stderr=stderr, text=True, env=os.environ | environment
    )


def closed_pipe():
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def test_who_has_read_enough_disturbs_nothing():
    done = bbatch("tables", "3", stdout=closed_pipe())
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "words", [["sweep", "synthetic-1k", "--profile", "smoke"], ["verify", "synthetic-1k"]]
)
def test_work_that_was_cut_short_by_a_closed_pipe_is_no_success(words, tmp_path):
    """What tells of the progress goes to stderr: a command that cannot tell either does its work or fails."""
    done = bbatch(*words, "--jobs", "1", stderr=closed_pipe(), BBATCH_STORE=str(tmp_path))
    records = list((tmp_path / "records").glob("*.json")) if words[0] == "sweep" else []
    assert done.returncode == 1 or (
        done.returncode == 0 and (len(records) == 2 or "identical" in done.stdout)
    )


LOUD = """
import torch
from torch import nn
class Loud(nn.Module):
    def __init__(self):
        super().__init__()
        print("made")
        self.layer = nn.Linear(4, 2)
    def forward(self, x):
        print("forward")
        return self.layer(x)
def samples():
    x = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    return torch.utils.data.TensorDataset(x, (x[:, 0] > 0).long())
"""


@pytest.mark.slow
def test_a_model_that_prints_leaves_json_as_it_is(tmp_path, monkeypatch, capfd):
    (tmp_path / "loud.py").write_text(LOUD)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("BBATCH_STORE", str(tmp_path / "store"))
    words = ["--model", "loud:Loud", "--data", "loud:samples", "--budget", "3", "--json"]
    assert cli.main(["recommend", *words]) == 0
    assert json.loads(capfd.readouterr().out)["unit"] == "% accuracy"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are Unicode")
def test_a_store_whose_name_is_no_text_and_no_home(tmp_path):
    """Neither a folder named by bytes that are no UTF-8, nor a home that is not there, is an obstacle."""
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/x\xff")
    words = ["run", "synthetic-1k", "--batch-size", "400", "--epochs", "1", "--json"]
    done = bbatch(*words, BBATCH_STORE=folder, HOME="/nonexistent", XDG_CACHE_HOME="")
    assert json.loads(done.stdout)[0]["batch_size"] == 400 and "Traceback" not in done.stderr
    assert len(os.listdir(os.path.join(folder, "records"))) == 1


def test_run_trains_what_its_options_say(monkeypatch, tmp_path):
    planned = []

    def only_planned(runs, *more, **named):
        planned.extend(runs)
        raise BadInput("nothing is trained here.")

    monkeypatch.setattr(commands, "sweep", only_planned)
    monkeypatch.setenv("BBATCH_STORE", str(tmp_path))
    changes = {"epochs": 3, "base_lr": 0.2, "warmup_epochs": 0, "lr_rule": "sqrt", "precision": "bf16"}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in changes.items()]
    assert cli.main(["run", "mnist", "--batch-size", "512", "--seed", "7", *options]) == 2
    assert planned == [plan("mnist", 512, 7, **changes)]
    assert cli.main(["run", "mnist", "--batch-size", "512"]) == 2
    assert planned[1].warmup_epochs == 5, "the paper's"


def test_a_budget_too_small_for_one_training_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BBATCH_STORE", str(tmp_path))
    assert cli.main(["recommend", "digits", "--budget", "0.01"]) == 1
    assert "give a budget of" in capsys.readouterr().out


def test_a_record_that_is_not_confirmed_is_told_to_a_closed_pipe_too(monkeypatch, tmp_path):
    def broken(*words):
        raise BrokenPipeError

    monkeypatch.setattr(cli, "_print", broken)
    monkeypatch.setattr(os, "dup2", lambda *words: None)
    for ok, code in ((False, 1), (True, 0), (None, 0)):
        monkeypatch.setattr(
            integrity, "check_records", lambda folder, ok=ok: [{"check": "x", "ok": ok, "finding": ""}]
        )
        assert cli.main(["verify", "--integrity"]) == code


def test_a_terminal_without_letters_and_a_closed_stderr_get_no_traceback():
    """Two commands in one process; the second has something to say on stderr."""
    code = "from bbatch.cli import main; print(main(['tables', '3'])); exit(main(['results', 'nothing']))"
    shell = f'"{sys.executable}" -c "{code}" 2>&-'
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(shell, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "")
    table, code, rest = done.stdout.rpartition("0\n")
    assert code and table.isascii() and table.count("\n") > 5 and rest == ""


def test_a_terminal_obeys_no_record(monkeypatch, capsys):
    said = "\x1b]0;title\x07\x1b[2Jcpu\n\u202e"
    forged = record() | {"data": {"source": said, "fingerprint": "f" * 64, "n_test": 200}}
    monkeypatch.setattr(commands.Store, "records", lambda self: {"x": forged})
    assert cli.main(["results"]) == 0
    shown = capsys.readouterr().out
    assert "?]0;title??[2Jcpu??" in shown and not set(said) & set("\x1b\x07\u202e") & set(shown)


def test_a_single_row_too_wide_for_a_terminal_is_a_line_a_field(capsys):
    row = {"dataset": "mnist", "lr": 0.0016, "failure": None, "source": "x" * 120, "seeds": 3}
    cli._print([row], False)
    assert capsys.readouterr().out.splitlines() == [
        "dataset  mnist",
        "lr       0.0016",
        "failure  -",
        f"source   {'x' * 120}",
        "seeds    3",
    ]
    cli._print([row, row], False)
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == list(row) and rows[0] == rows[1] and rows[0].split()[2] == "-"
    cli._print([row | {"source": "x"}], False)
    assert len(capsys.readouterr().out.splitlines()) == 2
