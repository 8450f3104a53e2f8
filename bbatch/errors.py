"""Errors that a user sees as one sentence instead of a traceback, and the checks that raise most of them."""

import os
import re
import signal
import sys
from contextlib import contextmanager


class BadInput(ValueError):
    """Something the caller gave is wrong; the message is one sentence that says what, and what is allowed."""

    def __str__(self) -> str:
        return printable(super().__str__())


class DataMissing(BadInput):
    """A data set cannot be used: a file is absent, truncated or altered; the message says what to do."""


class StoreError(BadInput):
    """A store of records cannot be used as asked: unwritable, damaged, or in conflict with what is there."""


def one_of(what: str, given, allowed) -> None:
    """Raise `BadInput` naming `what` unless `given` is among `allowed`."""
    if given not in list(allowed):  # a list: what has no hash is not among them either
        known = ", ".join(map(str, allowed))
        raise BadInput(
            f"{what} {given!r} is unknown; " + (f"allowed are {known}." if known else "there are none.")
        )


def whole(what: str, given, low: int, high: int | None = None) -> None:
    """Raise `BadInput` naming `what` unless `given` is an int in [low, high]."""
    if (
        isinstance(given, bool)
        or not isinstance(given, int)
        or given < low
        or (high is not None and given > high)
    ):
        span = f"from {low} to {high}" if high is not None else f"of at least {low}"
        raise BadInput(f"{what} is {given!r}; it must be a whole number {span}.")


def positive(what: str, given, or_zero: bool = False) -> None:
    """Raise `BadInput` naming `what` unless `given` is a finite number above 0, or 0 where that will do."""
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or not 0 <= given <= sys.float_info.max or (given == 0 and not or_zero):
        bound = "at least 0" if or_zero else "above 0"
        raise BadInput(f"{what} is {given!r}; it must be a finite number {bound}.")


def printable(text: str) -> str:
    """`text` on one line, without control characters, marks that turn text around, passwords of addresses."""
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", "?", text)
    return re.sub(r"://[^/\s]*@", "://***@", text)


@contextmanager
def ended_by_ctrl_c(said: str):
    """Within, Ctrl-C says so and ends the process at once: some libraries, while they are imported, take
    `KeyboardInterrupt` for a part of theirs that is missing, and go on."""

    def end(*_):
        print(said, file=sys.stderr, flush=True)
        os._exit(130)

    usual = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
