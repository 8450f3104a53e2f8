"""Do the best rate and the critical batch size move with the network? Read from the tables of the studies
`remedies-NAME` and `architectures-NAME`, joined: for each network the runs that change nothing else.

They are a map of batch size and rate, which `batch_and_rate` reads.
"""

import pandas as pd

from ..errors import BadInput
from ..studies.remedies import FEW, SETTINGS
from ..studies.trial import AVERAGES
from . import batch_and_rate
from .critical_batch_size import DROP


def map_of(dataset: str, runs: pd.DataFrame, network: str) -> pd.DataFrame:
    """The map of a network: its runs with the data set's own optimizer, number of epochs and fixed schedules,
    on those of the first `FEW` seeds that all batch sizes have. Of two rows of one run the first counts.
    Raises `BadInput` where there is none."""
    s = SETTINGS[dataset]
    same = {"network": network, "optimizer": s.optimizer, "epochs": s.epochs, "warmup_epochs": 0}
    same |= {"batch_schedule": "fixed", "lr_schedule": "fixed", "averages": AVERAGES[0]}
    found = runs[runs["patience"].isna() & (runs["seed"] < 42 + FEW)]
    for column, value in same.items():
        found = found[found[column] == value]
    if found.empty:
        raise BadInput(f"no runs of network {network!r} on {dataset} are in the tables given.")
    by_size = found.groupby("batch_size")["seed"].agg(set)
    found = found[found["seed"].isin(set.intersection(*by_size))]
    return found.drop_duplicates(["batch_size", "lr", "seed"])


def by_network(dataset: str, runs: pd.DataFrame, networks) -> pd.DataFrame:
    """A row for each network and batch size. Columns: network, batch_size; optimum (best rate) and accuracy
    (percent, at the best of the rates tried), at_edge; difference (points, from B = 32); all but at_edge
    `Interval`, see `batch_and_rate`."""
    tables = []
    for network in networks:
        found = map_of(dataset, runs, network)
        best = batch_and_rate.best_rates(found).assign(network=network)
        tables.append(best.merge(batch_and_rate.cost_of_batch(found), on="batch_size"))
    return pd.concat(tables, ignore_index=True)


def critical_by_network(dataset: str, runs: pd.DataFrame, networks, drop: float = DROP) -> pd.DataFrame:
    """B* of each network at its best rates, by the paper's definition with a loss of `drop` points. Columns:
    network, critical (missing where no batch size loses so much), share (of draws of the seeds that give
    it)."""
    rows = []
    for network in networks:
        found, shares = batch_and_rate.critical_at_best_rate(map_of(dataset, runs, network), drop=drop)
        b = pd.NA if found.critical is None else found.critical
        share = float(shares[shares.index.isna() if found.critical is None else shares.index == b].sum())
        rows.append([network, b, share])
    return pd.DataFrame(rows, columns=["network", "critical", "share"]).astype({"critical": "Int64"})
