"""This checkout: where it lies, its commit, and the folders that the environment names."""

import os
import subprocess
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def folder_named(variable: str) -> Path | None:
    """The folder that an environment variable names, None where it is unset or empty.

    A relative one is relative to this checkout: commands, notebooks and tests run in different folders and
    mean one.
    """
    named = os.environ.get(variable)
    return ROOT / Path(named).expanduser() if named else None


def cache_folder() -> Path:
    """Where downloads are kept: XDG_CACHE_HOME/bbatch, else ~/.cache/bbatch."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bbatch"


def git(*words: str) -> bytes | None:
    """What git answers about this checkout; None without git, or where this is no repository of its own.

    A repository around the checkout, or one that git's own variables name (as in a hook), is another one.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", f"--git-dir={ROOT / '.git'}", f"--work-tree={ROOT}", *words]
    try:
        return subprocess.run(command, cwd=ROOT, env=ours, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


@lru_cache
def commit() -> str:
    """The commit that the package stood at when this process asked first, with "+" where its code was changed
    since; "unknown" outside git."""
    head = git("rev-parse", "--short=12", "HEAD")
    if head is None:
        return "unknown"
    return head.decode().strip() + ("+" if git("status", "--porcelain", "--", "bbatch") else "")
