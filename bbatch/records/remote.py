"""Records at an fsspec URL, for machines that share no folder: BBATCH_STORE=s3://bucket/runs, gs://..., sftp://host/path.

The URL holds finished records and nothing else. Checkpoints, weights and locks stay in a scratch folder of each machine,
which also keeps a copy of every record it has seen: what could not be delivered for want of a network is delivered with
the next record. A record carries its own checksum: one that is damaged, here or there, does not travel, and one damaged
there is written anew by the machine that computes its run again. As locks do not reach another machine, two that sweep the
same runs at the same time may both compute one; give each its own data sets, or use Dask.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from ..data import cache_folder
from ..errors import StoreError
from ..files import write_whole

URL = re.compile(
    r"[A-Za-z][\w+.-]+(::.+)?://.+"
)  # to fsspec, one letter is a drive, and nothing is the working folder


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

    def exchange(self, folder: Path, sound: Callable[[str, bytes], bool], new: str | None = None) -> None:
        """Deliver the records that the URL lacks, and the file `new` in any case; fetch those that `folder` lacks.

        `sound` (file name, content): whether a record is whole; others stay where they are. Raises `StoreError` where the
        URL is none, cannot be reached, or its protocol has no package here.
        """
        import fsspec

        if not URL.fullmatch(self.url):
            raise StoreError(
                f"the store {self.url!r} is no URL; name a folder, or PROTOCOL://PATH, in BBATCH_STORE."
            )
        try:
            system, path = fsspec.url_to_fs(self.url)
            system.makedirs(path, exist_ok=True)
            there = {name.rsplit("/", 1)[-1] for name in system.ls(path, detail=False)}
            here = {file.name for file in folder.glob("*.json")}
            for name in sorted(here - there | ({new} if new else set())):
                if sound(name, content := (folder / name).read_bytes()):
                    system.pipe_file(f"{path}/{name}", content)
            for name in sorted(n for n in there - here if n.endswith(".json")):
                if sound(name, content := system.cat_file(f"{path}/{name}")):
                    write_whole(folder / name, content)
        except StoreError:
            raise
        except Exception as error:  # each file system of fsspec raises kinds of its own
            why = " ".join(str(error).split()) or type(error).__name__
            raise StoreError(
                f"the store {self.url!r} cannot be used ({why.rstrip('.')}); name a folder, or a URL that "
                "fsspec can reach from here, in BBATCH_STORE."
            ) from error
