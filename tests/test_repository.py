"""This checkout and no other: its commit, and the folders that the environment names."""

import subprocess
from pathlib import Path

import pytest

from bbatch import image_files, repository
from bbatch.records.store import Store


def git(*words, at):
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *who, *words], cwd=at, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def outer(tmp_path, monkeypatch):
    """A repository with one commit, in which `inner` lies; `inner` is what the package takes for its root."""
    monkeypatch.setattr(repository, "ROOT", tmp_path / "inner")
    (tmp_path / "inner" / "bbatch").mkdir(parents=True)
    git("init", "--quiet", at=tmp_path)
    git("commit", "--allow-empty", "-m", "outer", at=tmp_path)
    repository.commit.cache_clear()
    yield tmp_path
    repository.commit.cache_clear()


def test_unpacked_inside_another_repository_the_commit_is_unknown(outer):
    assert repository.commit() == "unknown" and repository.git("log") is None


def test_the_commit_is_that_of_this_checkout_whatever_git_is_told(outer, monkeypatch):
    git("init", "--quiet", at=outer / "inner")
    git("commit", "--allow-empty", "-m", "inner", at=outer / "inner")
    head = git("rev-parse", "--short=12", "HEAD", at=outer / "inner")
    monkeypatch.setenv("GIT_DIR", str(outer / ".git"))  # as in a hook of another repository
    monkeypatch.setenv("GIT_INDEX_FILE", str(outer / ".git" / "index"))
    assert repository.commit() == head
    repository.commit.cache_clear()
    (outer / "inner" / "bbatch" / "new.py").write_text("")
    assert repository.commit() == head + "+"


def test_a_relative_folder_is_the_same_from_everywhere(monkeypatch, tmp_path):
    monkeypatch.setattr(repository, "ROOT", tmp_path)
    monkeypatch.setenv("BBATCH_STORE", "mine/store")
    monkeypatch.setenv("BBATCH_DATA", "files")
    (tmp_path / "files").mkdir()
    for place in (tmp_path, tmp_path / "files", Path("/")):
        monkeypatch.chdir(place)
        assert (
            Store().folder == tmp_path / "mine" / "store" and image_files._folders()[0] == tmp_path / "files"
        )
    monkeypatch.setenv("BBATCH_STORE", str(tmp_path / "absolute"))
    assert Store().folder == tmp_path / "absolute"
    monkeypatch.setenv("BBATCH_STORE", "~/store")
    assert Store().folder == Path.home() / "store"
