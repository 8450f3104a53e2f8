"""Records at an fsspec URL, for machines that share no folder: BBATCH_STORE=s3://bucket/runs, gs://..., sftp://host/path.

The URL holds finished records and nothing else. Checkpoints, weights and locks stay in a scratch folder of each machine,
which also keeps a copy of every record it has seen: what could not be delivered for want of a network is delivered with
the next record. A record carries its own checksum, so that one half-written there is found like any damaged one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from .data import cache_folder
from .errors import StoreError
from .files import write_whole


def is_url(name: str) -> bool:
    return "://" in name


class Remote:
    """The records at `url`; only the URL travels to a worker."""

    def __init__(self, url: str):
        self.url = url

    @property
    def scratch(self) -> Path:
        """This machine's folder for the store at the URL."""
        return cache_folder() / "stores" / hashlib.sha256(self.url.encode()).hexdigest()[:16]

    def exchange(self, folder: Path) -> None:
        """Deliver the records that the URL lacks and fetch those that `folder` lacks.

        Raises `StoreError` where the URL cannot be reached or its protocol has no package here.
        """
        import fsspec

        try:
            system, path = fsspec.url_to_fs(self.url)
            system.makedirs(path, exist_ok=True)
            there = {name.rsplit("/", 1)[-1] for name in system.ls(path, detail=False)}
            here = {file.name for file in folder.glob("*.json")}
            for name in sorted(here - there):
                system.pipe_file(f"{path}/{name}", (folder / name).read_bytes())
            for name in sorted(n for n in there - here if n.endswith(".json")):
                write_whole(folder / name, system.cat_file(f"{path}/{name}"))
        except StoreError:
            raise
        except Exception as error:  # each file system of fsspec raises kinds of its own
            why = " ".join(str(error).split()) or type(error).__name__
            raise StoreError(f"the store {self.url!r} cannot be used ({why.rstrip('.')}); name a folder, or a URL that "
                             "fsspec can reach from here, in BBATCH_STORE.") from error
