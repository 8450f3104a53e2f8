"""Files that are there whole or not at all, and that tell when they were damaged."""

import hashlib
import os
import warnings
from contextlib import suppress
from pathlib import Path

from .errors import StoreError


def seal(payload: bytes) -> bytes:
    """`payload` behind its sha256, so that damage is found before anything is read from it."""
    return hashlib.sha256(payload).digest() + payload


def unseal(content: bytes) -> bytes | None:
    """The payload of a sealed file, or None where it is damaged."""
    digest, payload = content[:32], content[32:]
    return payload if hashlib.sha256(payload).digest() == digest else None


def set_aside(path: Path, why: str) -> None:
    """Rename a file so that nothing reads it again, and say so in a warning with the reason `why`; another
    process may be first."""
    try:
        os.replace(path, path.with_name(path.name + ".damaged"))
        warnings.warn(f"{path.name} is set aside under the name {path.name}.damaged: {why}.", stacklevel=3)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StoreError(
            f"{path} is damaged and cannot be set aside ({error.strerror}); remove it."
        ) from error


def write_whole(path: Path, content: bytes, durable: bool = True) -> None:
    """Write a file so that it is there whole or not at all; `durable`: also after a power cut, and for good.

    Raises `StoreError` where it cannot be written; nothing is then left behind.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(part, path)
        if durable:
            sync_names(path.parent)
    except OSError as error:
        raise StoreError(
            f"{path.name} could not be written to {str(path.parent)!r} ({error.strerror}); "
            "free some space or name another folder."
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()  # there only where something went wrong


def sync_names(folder: Path) -> None:
    """Bring a folder's names to the disk.

    Until then a power cut may undo a renaming, and with it a file that was synced. Not every file system can
    (some refuse to open or sync a folder); as in SQLite, that is no error.
    """
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def leftovers(folder: Path, stem: str) -> list[Path]:
    """What processes killed in `write_whole` left of files named `stem`.*"""
    return list(folder.glob(f".{stem}.*.part"))
