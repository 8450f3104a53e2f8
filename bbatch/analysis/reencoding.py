"""What one lossy re-encoding of CIFAR-10 does to test accuracy: the same networks, the same 1,000 test images, twice.

Where the official release is not at hand, CIFAR-10 is a JPEG mirror (see `data`). A thousand of its test images are
there in exact form too. Each network that was trained on the mirror is given both versions, so that the comparison is
paired by image. Training images are not there in exact form: what training on them would change cannot be measured
here, and the change of the gap is that of its test part alone.
"""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import torch

from .. import data
from ..config import Run
from ..files import write_whole
from ..geometry.networks import kept, network
from ..records.store import FROZEN, Store
from ..statistics import Interval, paired_proportions

FILE = FROZEN / "reencoding.csv"
COLUMNS = [
    "id",
    "batch_size",
    "lr_rule",
    "precision",
    "seed",
    "n",
    "right_mirror",
    "right_exact",
    "only_mirror",
    "only_exact",
]
PIECE = 250  # images at once


def recorded(path: Path = FILE) -> pd.DataFrame:
    """A row for each network measured: of `n` images, how many were right in the mirror's form, in the exact form, and
    in one form only; empty with the same columns where none was."""
    return pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=COLUMNS)


def measure(store: Store | None = None, path: Path = FILE) -> list[dict]:
    """Measure the finished runs on the mirror, trained on all of it, whose weights the live store keeps, and add them to
    the table.

    Returns the new rows. Raises `DataMissing` where the exact images are not at hand.
    """
    store, have = store or Store(), recorded(path)
    source, (images, labels, rows) = data.load("cifar10"), data.exact_cifar10_test()
    same = source.test_x[rows]
    found = []
    for key, record in store.records().items():
        run = Run.from_dict(record["run"])
        if (
            run.dataset != "cifar10"
            or record["data"]["fingerprint"] != source.fingerprint
            or key in set(have["id"])
            or run.n_train < len(source.train_y)
        ):
            continue
        if (weights := kept(store.weights / f"{key}.pt")) is not None:
            net = network(run, source, weights)
            mirror, exact = (_right(net, some, labels) for some in (same, images))
            found.append(
                {
                    "id": key,
                    "batch_size": run.batch_size,
                    "lr_rule": run.lr_rule,
                    "precision": run.precision,
                    "seed": run.seed,
                    "n": len(labels),
                    "right_mirror": int(mirror.sum()),
                    "right_exact": int(exact.sum()),
                    "only_mirror": int((mirror & ~exact).sum()),
                    "only_exact": int((exact & ~mirror).sum()),
                }
            )
    if found:
        table = pd.concat([have, pd.DataFrame(found)]) if len(have) else pd.DataFrame(found)
        table = table.sort_values(["lr_rule", "batch_size", "seed", "precision"], ignore_index=True)
        text = io.StringIO()
        table.to_csv(text, index=False)
        write_whole(path, text.getvalue().encode())
    return found


def _right(net, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return torch.cat([net(some).argmax(1) for some in images.split(PIECE)]) == labels


def effect(table: pd.DataFrame) -> pd.DataFrame:
    """Exact minus mirror, a row for each network: data for the page.

    Columns: B, rule, precision, seed, accuracy on the mirror's and on the exact images (percent), difference (points,
    `Interval`: the sampling error of the images, paired), p (McNemar's exact test).
    """
    rows = []
    for r in table.itertuples():
        difference, p = paired_proportions(r.only_exact, r.only_mirror, r.n)
        rows.append(
            {
                "B": r.batch_size,
                "rule": r.lr_rule,
                "precision": r.precision,
                "seed": r.seed,
                "mirror": 100 * r.right_mirror / r.n,
                "exact": 100 * r.right_exact / r.n,
                "difference": difference,
                "p": p,
            }
        )
    return pd.DataFrame(
        rows, columns=["B", "rule", "precision", "seed", "mirror", "exact", "difference", "p"]
    )


def formatted(table: pd.DataFrame) -> pd.DataFrame:
    """`effect` as text."""
    return table.assign(
        mirror=table["mirror"].map("{:.1f}".format),
        exact=table["exact"].map("{:.1f}".format),
        difference=[i.text(1, "+") for i in table["difference"]],
        p=table["p"].map("{:.2g}".format),
    ).rename(
        columns={
            "mirror": "accuracy, mirror (%)",
            "exact": "accuracy, exact (%)",
            "difference": "exact − mirror (points)",
            "p": "p (McNemar)",
        }
    )


def sentence(table: pd.DataFrame) -> str:
    """The range of the effect over the networks measured, to be said wherever Table IV is compared."""
    if table.empty:
        return (
            "What the re-encoding does to accuracy has not been measured yet: `bbatch reencoding` measures it on the "
            "networks whose weights the store keeps."
        )
    effects: list[Interval] = list(effect(table)["difference"])
    means = [i.mean for i in effects]
    clear = sum(i.low > 0 or i.high < 0 for i in effects)
    if len(effects) == 1:
        who, span = "the one network measured", f"{effects[0].text(1, '+')} points"
        verdict = "95 % interval clear of zero" if clear else "not told apart from zero"
    else:
        who, span = (
            f"the {len(effects)} networks measured",
            f"between {min(means):+.1f} and {max(means):+.1f} points",
        )
        verdict = f"the 95 % interval of {clear or 'none'} of them is clear of zero"
    return (
        f"On {int(table['n'].iloc[0]):,} test images, accuracy in the exact form minus that in the mirror's is {span} for "
        f"{who} ({verdict}). What training on exact images would change cannot be measured "
        "here."
    ).replace(" -", " −")
