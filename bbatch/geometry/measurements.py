"""The recorded tables of what was measured of trained networks: read and written here, and nowhere typed."""

import pandas as pd

from ..config import SYNTHETIC, Run
from ..errors import StoreError
from ..files import write_whole
from ..metrics import leading, near_chance
from ..records.store import FROZEN
from .networks import EFFORT

FOLDER = FROZEN / "geometry"
RUN_COLUMNS = ["dataset", "batch_size", "lr_rule", "precision", "seed"]
COLUMNS = [*RUN_COLUMNS, *"epoch split measure value n_samples settings id source commit".split()]
POINT_COLUMNS = [*RUN_COLUMNS, *"split kind a b loss n_samples to_batch_size id".split()]
CIRCLE_COLUMNS = [*RUN_COLUMNS, *"split radius turn loss n_samples id source commit".split()]
RESCALED_COLUMNS = [*RUN_COLUMNS, *"factor norm value n_samples id".split()]

# Batch sizes of the surfaces in Figs. 9 and 10; those of all three data sets are spoken of in Section IV-E.
SURFACES = {"synthetic-50k": (32, 512), "mnist": (32, 256, 512), "cifar10": (32, 256, 512)}

# The pairs of batch sizes in Figs. 9 and 10. Of which synthetic set Fig. 9 is, the paper does not say.
PAIRS = dict.fromkeys(SYNTHETIC, (32, 512)) | {"mnist": (32, 256)}


def measured(datasets=None) -> pd.DataFrame:
    """The recorded measurements, a row for each run, epoch and measure; with `COLUMNS`, also when empty.

    Of a seed measured in both precisions only the `leading` one is given, by its networks: so that ratios
    over batch sizes pair networks of one kind, and no seed counts twice.

    Columns:

    dataset, batch_size, lr_rule, precision, seed   the run whose weights were measured
    epoch       epochs trained: 0 at initialization, the run's last at convergence
    split       "train" or "test": the samples of the loss
    measure     one of `MEASURES`, which says what it is
    value       in the measure's unit
    n_samples   how many samples of the split were used: the first n of a seeded order
    settings    what else decides the value: epsilon, steps, restarts, probes
    id          key of the run's record
    source      where the weights came from: "initial"; "kept" by the sweep; "retrained", with the scores of
                the record met (counts exactly, losses to a millionth); "retrained, differs" where this
                machine's rounding led elsewhere; "retrained, no record"
    commit      the package's, when it was measured

    For the measures "gradient_variance_one_network...", `batch_size` is that of the mini-batches drawn, on
    the network of the run with B = `REFERENCE` (see `id`). Sharpness for the paper's ratio to the letter is
    "sharpness_l2" on "train" at the last epoch: a Euclidean ball, on the loss that training minimises.
    """
    return _one_precision(read_measurements("", COLUMNS, datasets))


def _one_precision(table: pd.DataFrame) -> pd.DataFrame:
    kept = _leading_of_each_seed(table[table["epoch"] > 0])
    return pd.concat([table[table["epoch"] == 0], kept], ignore_index=True)


def _leading_of_each_seed(trained: pd.DataFrame) -> pd.DataFrame:
    of_seed = leading(trained.drop_duplicates("id"), ["dataset", "seed"]).rename("kept")
    return trained.join(of_seed, ["dataset", "seed"]).query("precision == kept").drop(columns="kept")


def surfaces(datasets=None) -> pd.DataFrame:
    """The recorded landscapes, a row for each point; with `POINT_COLUMNS`, also when empty.

    kind "surface": loss at w + a·d1 + b·d2, filter-normalized; kind "path": loss at w + a·(w' − w), where w'
    is the network of `to_batch_size` and the same seed (b is 0).
    """
    return read_measurements("-landscape", POINT_COLUMNS, datasets)


def circles(datasets=None) -> pd.DataFrame:
    """The loss on circles around trained networks, a row for each point; with `CIRCLE_COLUMNS`, also when
    empty. `radius` is in lengths of a filter-normalized direction, `turn` the angle as a share of a full one;
    `source` and `commit` as in `measured`.
    See the module `encircling`. Of a seed in both precisions only the leading one is given."""
    table = read_measurements("-circles", CIRCLE_COLUMNS, datasets)
    return _leading_of_each_seed(table)


def rescaling(datasets=None) -> pd.DataFrame:
    """Each reading of Eq. (3) on one network whose first layer is multiplied and second divided by `factor`.

    Its function stays as it was. With `RESCALED_COLUMNS`, also when empty.
    """
    return read_measurements("-rescaled", RESCALED_COLUMNS, datasets)


def collapsed(table: pd.DataFrame) -> pd.DataFrame:
    """The trained networks that classify training samples within 5 points of chance, a row each.

    Columns: the run's, id. What is read off these networks says nothing of minima.
    """
    t = table[(table["measure"] == "accuracy") & (table["split"] == "train") & (table["epoch"] > 0)]
    low = t["value"] <= t["dataset"].map(near_chance).astype(float)
    return t.loc[low, [*RUN_COLUMNS, "id"]].drop_duplicates()


def converged(table: pd.DataFrame) -> pd.DataFrame:
    """A table of `measured` without the networks that `collapsed`."""
    return table[~table["id"].isin(collapsed(table)["id"])]


def pictured(points: pd.DataFrame, dataset: str, rule: str = "linear") -> pd.DataFrame:
    """The rows of `surfaces` under a rule that make up the surfaces of the paper's figures, of one seed and
    precision: that with most; of equals one in 32 bits, the lowest seed."""
    t = points[
        (points["dataset"] == dataset)
        & (points["kind"] == "surface")
        & (points["lr_rule"] == rule)
        & points["batch_size"].isin(SURFACES.get(dataset, ()))
    ]
    if t.empty:
        return t
    counts = t.groupby(["seed", "precision"])["batch_size"].nunique()
    most = counts[counts == counts.max()].index
    seed, precision = min(most, key=lambda kind: (kind[1] != "fp32", kind[0]))
    return t[(t["seed"] == seed) & (t["precision"] == precision)]


def read_measurements(what: str, columns: list[str], datasets=None) -> pd.DataFrame:
    """One kind of table, such as "-landscape", of these data sets. Raises `StoreError` for a damaged one."""
    paths = [FOLDER / f"{name}{what}.parquet" for name in datasets or EFFORT]
    try:
        parts = [pd.read_parquet(path) for path in paths if path.is_file()]
    except (OSError, ValueError) as error:  # pyarrow's kinds are among them
        why = " ".join(str(error).split()).rstrip(".")
        raise StoreError(
            f"a table of {FOLDER.name} of {', '.join(datasets or EFFORT)} is damaged ({why}); "
            "restore it from the repository."
        ) from error
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def of_run(run: Run) -> dict:
    """The columns by which a row names its run."""
    return {c: getattr(run, c) for c in RUN_COLUMNS}


def write_measurements(what: str, name: str, table: pd.DataFrame) -> None:
    """Write one kind of table of one data set, whole or not at all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_whole(FOLDER / f"{name}{what}.parquet", table.to_parquet(index=False, compression="zstd"))
