"""The reader's own check: committed runs, chosen at random, trained again and held against their records."""

import math
import random
import tempfile
from statistics import NormalDist

import pandas as pd

from .. import data
from ..config import DATASETS, Run
from ..errors import BadInput, one_of, whole
from ..profiles import grid
from ..records.record import decided
from ..records.store import Store
from .sweep import sweep

CONFIDENCE = 0.999  # one false alarm in a thousand records compared


def random_sample(
    committed: dict[str, dict], datasets: list[str] | None = None, sample: int = 3, seed: int = 0
) -> list[dict]:
    """`sample` of the committed records (of these data sets), chosen at random, reproducibly by `seed`.

    Raises `BadInput` for an unknown data set, a sample below 1 or above what there is, a negative seed.
    """
    for name in datasets or ():
        one_of("data set", name, DATASETS)
    there = sorted(
        key for key, record in committed.items() if not datasets or record["run"]["dataset"] in datasets
    )
    if not there:
        raise BadInput(
            f"no record of {', '.join(datasets or DATASETS)} is committed; `bbatch freeze` commits live ones."
        )
    whole("sample", sample, 1, len(there))
    whole("seed", seed, 0)
    return [committed[key] for key in random.Random(seed).sample(there, sample)]


def seconds_expected(records: list[dict], jobs: int) -> float:
    """How long the runs took where they were recorded, shared out over `jobs` processes: seconds."""
    each = [sum(r["observed"]["seconds"]) + sum(r["observed"].get("evaluate_seconds") or ()) for r in records]
    return max([sum(each) / jobs, *each])


def again(records: list[dict], *, jobs: int, device: str = "cpu", progress: bool = True) -> list[dict]:
    """Train the runs of these records anew and compare, a row for each: see :func:`compare_records`.

    Raises `BadInput` as `sweep` does, and where the data here are not those of the records.
    """
    for record in records:
        name = record["run"]["dataset"]
        if data.load(name).fingerprint != record["data"]["fingerprint"]:
            raise BadInput(
                f"{name} here is {data.load(name).source} ({data.load(name).fingerprint[:12]}), but record "
                f"{record['id']} used {record['data']['source']} ({record['data']['fingerprint'][:12]}); "
                "put those files in BBATCH_DATA."
            )
    live = _anew([Run.from_dict(r["run"]) for r in records], jobs=jobs, device=device, progress=progress)
    return [compare_records(record, live[record["id"]]) for record in records]


def _anew(runs: list[Run], **how) -> dict[str, dict]:
    """Records, by id, of these runs trained from nothing by `sweep(**how)`; no file of them is kept."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder, frozen=None)
        try:
            sweep(runs, store, **how)
        except KeyboardInterrupt:  # the sweep's own sentence speaks of going on
            raise KeyboardInterrupt(
                f"{len(store.live())} of {len(runs)} runs were trained again and none is kept; "
                "the same command begins anew."
            ) from None
        return store.live()


def agree(rows: list[dict]) -> bool:
    """Whether no row of :func:`again`, or of `integrity.check_records`, speaks against the records."""
    return all(
        row.get("agreement") not in ("differs", "failed") and row.get("ok") is not False for row in rows
    )


def tolerance(accuracy: float, n: int) -> float:
    """By how many points two networks of this accuracy (percent) differ on n test samples by chance, in
    `CONFIDENCE` of cases."""
    p = accuracy / 100
    return 100 * NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(2 * p * (1 - p) / n)


def compare_records(committed: dict, here: dict) -> dict:
    """One row: the run, both test accuracies (percent), the difference that is tolerated, and the agreement.

    agreement is "bit-identical" where everything that the configuration decides is equal; "within tolerance"
    where both diverged, or the test accuracies differ by no more than two networks of equal quality do by
    chance in 99.9 % of cases; else "differs"; "failed" where the run could not be finished here. Another
    processor or another version rounds differently, and rounding grows in training until the two networks are
    as good as trained from different seeds. Each accuracy is then a proportion of n test samples, and their
    difference has the standard deviation sqrt(2 p (1 - p) / n), with p the mean of the two (a two-sample
    binomial interval, normal approximation; that both are tested on the same samples makes it wider than
    needed, the spread between seeds narrower).
    """
    run, n = committed["run"], committed["data"]["n_test"]
    row = {
        "id": committed["id"],
        "dataset": run["dataset"],
        "batch_size": run["batch_size"],
        "seed": run["seed"],
        "recorded": 100 * committed["final"]["test_correct"] / n,
        "here": None,
        "tolerance": None,
    }
    if here["observed"].get("failure"):
        return row | {"agreement": "failed", "why": here["observed"]["failure"]}
    row["here"] = 100 * here["final"]["test_correct"] / n
    row["tolerance"] = tolerance((row["recorded"] + row["here"]) / 2, n)
    same = decided(committed) == decided(here)
    diverged = [r["final"]["diverged_epoch"] is not None for r in (committed, here)]
    close = all(diverged) or (not any(diverged) and abs(row["recorded"] - row["here"]) <= row["tolerance"])
    agreement = "bit-identical" if same else "within tolerance" if close else "differs"
    return row | {"agreement": agreement, "why": None if same else _difference(committed, here)}


def _difference(committed: dict, here: dict) -> str:
    """What differs between the two machines: a reason why bits may differ, if there is one."""
    a, b = committed["observed"], here["observed"]
    pairs = [(what, a[what], b[what]) for what in ("device_name", "engine", "system")]
    # Of a package that one of the two records does not name, nothing is known.
    pairs += [(p, v, b["versions"][p]) for p, v in a["versions"].items() if v and b["versions"].get(p)]
    return (
        "; ".join(f"{what} {x} there, {y} here" for what, x, y in pairs if x != y)
        or "same hardware, engine and recorded versions"
    )


def sweep_again(dataset: str, profile: str, seeds: int) -> pd.DataFrame:
    """Train a data set's grid from nothing and hold it against the committed records: a row a batch size.

    Columns: B, runs, how many of them have each agreement of `compare_records` (another machine rounds
    differently; another engine too) or are not committed. Empty for `seeds` = 0. Raises `BadInput` as
    `profiles.grid` does.
    """
    columns = ["B", "runs", "bit-identical", "within tolerance", "differs", "failed", "not committed"]
    if seeds == 0:
        return pd.DataFrame(columns=columns)
    runs, committed = grid([dataset], profile, seeds), Store().frozen_records()
    rows = [
        {"B": r["run"]["batch_size"], "runs": 1, _agreement(r, committed): 1} for r in _anew(runs).values()
    ]
    found = pd.DataFrame(rows)
    return found.groupby("B").sum().reset_index().reindex(columns=columns, fill_value=0).astype(int)


def _agreement(record: dict, committed: dict[str, dict]) -> str:
    if record["id"] not in committed:
        return "not committed"
    return compare_records(committed[record["id"]], record)["agreement"]
