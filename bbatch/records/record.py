"""What a record is, a plain dict, and which dicts cannot be one.

    id           address: hash of the run's configuration and the data's fingerprint
    run          the fields of `config.Run`
    seeds        init, order, noise
    data         source, fingerprint, n_test
    history      a list an epoch: train_loss, train_correct, test_loss, test_correct
    final        train_loss, train_correct, test_loss, test_correct, diverged_epoch
    observed     what another machine or day changes: epoch seconds (elapsed and processor time), start, end,
                 device, versions, commit, engine; `failure` ("out of memory") where the run could not be
                 finished here, with an empty history and final; `side_by_side` where several runs shared a
                 GPU, their number

All but `observed` is decided by the id, bit for bit, on one machine and one set of versions.
"""

import math

from ..config import Run
from ..errors import BadInput, printable

FIELDS = {"id", "run", "seeds", "data", "history", "final", "observed"}
SCORES = ("train_loss", "train_correct", "test_loss", "test_correct")
CLOCKS = ("seconds", "cpu_seconds", "evaluate_seconds")


def decided(record: dict) -> dict:
    """What the record's id decides: all but what was observed."""
    return {k: v for k, v in record.items() if k != "observed"}


def flaw(record: dict) -> str | None:
    """Why this cannot be a run's record, as the end of a sentence; None where it can."""
    try:
        return _flaw(record)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        return f"lacks what a record has ({type(error).__name__}: {printable(str(error))[:80]})"


def stranger(record: dict) -> str | None:
    """Why a sound record is of no run known here, as the end of a sentence; None if it is.

    It may be forged, or have been made with a data set or a network that is not known here or is another one
    now.
    """
    try:
        run = Run.from_dict(record["run"])
    except BadInput as error:
        return f"is of no run that is known here ({str(error).rstrip('.')})"
    if record["run"] != run.as_dict() or record["id"] != run.key(record["data"]["fingerprint"]):
        return "has an id that is not the hash of its run, network and data"
    return None


def _flaw(record: dict) -> str | None:
    if set(record) != FIELDS:
        return "has other fields than a record"
    for part in ("run", "seeds", "data", "observed"):
        if not all(_plain(value) for value in record[part].values()):
            return "holds what is neither a number nor a line of text"
    n_train, n_test, epochs = record["run"]["n_train"], record["data"]["n_test"], record["run"]["epochs"]
    for what, value in (("trained on", n_train), ("tested on", n_test)):
        if not _count(value) or value == 0:
            return f"was {what} {value!r} samples"
    seen = record["observed"]
    for name in CLOCKS:
        if not all(_amount(value) for value in seen.get(name) or ()):
            return f"has {name} that are no times"
    if seen.get("failure"):
        return "has scores, though it failed" if record["history"] or record["final"] else None
    ends, history, diverged = record["final"], record["history"], record["final"]["diverged_epoch"]
    if diverged is not None and not (_count(diverged, epochs) and diverged):
        return f"diverged in epoch {diverged!r} of {epochs!r}"
    for name in SCORES:
        values, most = [*history[name], ends[name]], n_test if name.startswith("test") else n_train
        if len(history[name]) != (diverged or epochs):
            return f"has {len(history[name])} values of {name} for {diverged or epochs!r} epochs"
        for value in values:
            if name.endswith("correct") and not _count(value, most):
                return f"has {value!r} right answers of {most} ({name})"
            # None: infinite, or no number
            if name.endswith("loss") and not (value is None or _amount(value)):
                return f"has a {name} of {value!r}"
    if not diverged and None in history["train_loss"]:
        return "lacks a train_loss and did not diverge"
    return None


def _count(value, most: float = math.inf) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _amount(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf


def _plain(value, depth: int = 1) -> bool:
    """A number, a text, nothing, or a list or dict of such: what a table can hold and a page show."""
    if isinstance(value, (list, dict)) and depth:
        items = value.values() if isinstance(value, dict) else value
        return all(_plain(item, depth - 1) for item in items)
    if isinstance(value, str):
        return value == printable(value)
    return value is None or isinstance(value, int) or isinstance(value, float) and math.isfinite(value)
