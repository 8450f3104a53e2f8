"""The Makefile and the container's recipe, with an interpreter that only notes what it is asked to do."""

import os
import re
import shutil
import subprocess

import pytest

from bbatch.repository import ROOT

# Notes its words and its store; `-m venv` makes an environment whose interpreter is itself again.
INTERPRETER = """#!/bin/sh
echo "$* in ${BBATCH_STORE:-no store}" >> "$NOTES"
case "$*" in
  "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  *sweep*) mkdir -p "$BBATCH_STORE" && touch "$BBATCH_STORE/record" ;;
esac
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with blanks and quotes in its name that holds the Makefile and what it stands on."""
    folder = tmp_path / 'it\'s a "place"'
    folder.mkdir()
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    python = tmp_path / "python3"
    python.write_text(INTERPRETER)
    python.chmod(0o755)
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    monkeypatch.setenv("PYTHON", str(python))
    monkeypatch.delenv("BBATCH_STORE", raising=False)
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):  # of a `make test` around this one
        monkeypatch.delenv(name, raising=False)
    return folder


def make(place, *words):
    """Run make; returns what the interpreter was asked for, and what was printed."""
    notes = place.parent / "notes"
    notes.write_text("")
    done = subprocess.run(["make", "UV=", *words], cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line for line in notes.read_text().splitlines() if line.startswith("-m ")], done.stdout


def test_each_target_works_where_the_path_holds_blanks_and_quotes(place):
    asked, said = make(place, "book")
    assert [line.split()[1] for line in asked] == ["venv", "pip", "pip", "bbatch.publishing"]
    assert f"The environment is ready: {place}/.venv" in said
    tests = "tests notebooks --nbval-lax --nbval-current-env"
    three = "--numprocesses 3 --dist loadfile --no-loadscope-reorder"
    assert make(place, "test")[0] == [f"-m pytest {tests} {three} in _build/store"]
    for target, module in (
        ("lab", "jupyterlab"),
        ("bench", "benchmarks"),
        ("faults", "tests.faults"),
        ("mutants", "tests.mutants"),
    ):
        assert make(place, target)[0][0].startswith(f"-m {module}"), target
    assert make(place, "pdf")[0] == [f"-m bbatch.publishing {what} in no store" for what in ("book", "pdf")]


def test_without_a_gpu_nothing_of_cuda_is_installed(place):
    asked, _ = make(place, "CPU=1", "book")
    [installed] = [line for line in asked if "-r " in line]
    assert "--extra-index-url https://download.pytorch.org/whl/cpu -r .venv/without-cuda.txt" in installed
    listed, pins = ((place / name).read_text() for name in (".venv/without-cuda.txt", "requirements.txt"))
    assert "nvidia-cudnn" in pins and not re.search("^(nvidia|cuda|triton)", listed, re.M)
    assert "torch==" in listed and set(listed.splitlines()) < set(pins.splitlines())
    binder = (ROOT / ".binder" / "postBuild").read_text()
    assert "grep -vE '^(cuda|nvidia|triton)' requirements.txt" in binder  # the same there
    assert (ROOT / "Makefile").read_text().count("'^(cuda|nvidia|triton)'") == 1


def test_an_environment_without_an_interpreter_is_made_anew(place):
    make(place, "book")
    assert not any("venv" in line for line in make(place, "book")[0])
    python = place / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(place / "gone")
    assert [line.split()[1] for line in make(place, "book")[0]][:3] == ["venv", "pip", "pip"]


def test_a_reproduction_of_one_data_set_leaves_another_alone_and_clean_keeps_all(place):
    make(place, "reproduce", "DATASETS=mnist", "SEEDS=3")
    asked, _ = make(place, "reproduce", "DATASETS=cifar10 synthetic-1k")
    folder = "store/reproduce/paper/cifar10+synthetic-1k"
    assert asked == [f"-m bbatch sweep cifar10 synthetic-1k --profile paper --fresh in {folder}"]
    make(place, "reproduce", "PROFILE=quick")
    record = place / "store" / "reproduce" / "paper" / "mnist" / "record"
    kept = place / "_build" / "executed" / "03_mnist.ipynb"
    for path in (kept, place / "_build" / "html" / "index.html"):
        path.parent.mkdir(parents=True)
        path.touch()
    make(place, "clean")
    assert record.is_file() and kept.is_file() and os.listdir(place / "_build") == ["executed"]
    record.with_name("old").touch()
    make(place, "reproduce", "DATASETS=mnist")  # it was complete: from nothing again
    assert record.is_file() and not record.with_name("old").exists()


def test_the_container_has_what_each_step_needs(place, tmp_path):
    """Each `RUN make` in an empty folder that holds what was copied before it; the package comes before it is
    installed."""
    there = tmp_path / "container"
    there.mkdir()
    steps = re.findall(r"^(COPY|RUN make) (.+)$", (ROOT / "Dockerfile").read_text(), re.M)
    for step, words in steps:
        if step == "COPY" and words == ". .":
            shutil.copytree(ROOT / "bbatch", there / "bbatch")
            shutil.copy(ROOT / "pyproject.toml", there)
        elif step == "COPY":
            for name in words.split()[:-1]:
                shutil.copy(ROOT / name, there)
        else:
            installs = any("--editable" in line for line in make(there, words)[0])
            assert not installs or (there / "bbatch" / "cli.py").is_file(), words
    assert [step for step, _ in steps] == ["COPY", "RUN make", "COPY", "RUN make"]
