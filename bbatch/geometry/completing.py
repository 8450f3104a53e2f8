"""All that is missing of the recorded tables, in one call: what `bbatch geometry` does."""

from ..records.store import Store
from .drawing import draw_missing
from .encircling import encircle_missing
from .measuring import measure_missing


def complete(
    datasets=None, seeds: int | None = None, store: Store | None = None, progress: bool = True
) -> list[dict]:
    """Measure, draw and encircle what is missing of these data sets' networks; returns a row for each set.

    Row: that of `measure_missing`, landscapes (networks drawn now), circles (networks encircled now).
    `seeds`: how many networks of each kind, from 42 on; landscapes are of one. Raises as `measure_missing`.
    """
    rows = measure_missing(datasets, seeds, store, progress)
    drawn = {row["dataset"]: row["drawn"] for row in draw_missing(datasets, store, progress)}
    around = {row["dataset"]: row["encircled"] for row in encircle_missing(datasets, seeds, store, progress)}
    return [
        row | {"landscapes": drawn.get(row["dataset"], 0), "circles": around.get(row["dataset"], 0)}
        for row in rows
    ]
