"""What each command does: options in, rows or a text out. `cli` prints them."""

import contextlib
import math
import sys

import pandas as pd

from . import claims, config, data, geometry, metrics, profiles
from .choosing import by_name
from .choosing.answer import Told
from .errors import BadInput, one_of, whole
from .evaluation.problems import problem
from .pages import landing, style, tables
from .publishing import book, execution, notebooks
from .records import integrity
from .records.store import FROZEN, Store
from .repository import ROOT
from .sweeping import dask_cluster, verify
from .sweeping.sweep import processes, sweep

SAMPLE = 3  # committed runs that `bbatch verify` trains again, where nothing else is asked


def available_data(options) -> list[dict]:
    """Each data set: whether it can be had here, from where, with its fingerprint."""
    rows = []
    for name, spec in config.DATASETS.items():
        row = {"dataset": name, "train": spec.n_train, "test": spec.n_test, "available": True}
        try:
            found = data.load(name, download=False)
            rows.append(row | {"source": found.source, "fingerprint": found.fingerprint})
        except BadInput as error:
            rows.append(row | {"available": False, "source": str(error), "fingerprint": None})
    return rows


def train_one(options) -> pd.DataFrame:
    """Train one configuration, if it has no record yet; its row."""
    changeable = ("epochs", "base_lr", "warmup_epochs", "lr_rule", "precision")
    changes = {name: getattr(options, name) for name in changeable}
    run = config.plan(options.dataset, options.batch_size, options.seed, **changes)
    store = Store()
    sweep([run], store, jobs=1, device=options.device, progress=not options.json)
    key = run.key(data.load(run.dataset).fingerprint)
    return metrics.frame([store.records()[key]])


def train_profile(options) -> list[dict]:
    """Train what a profile lacks; how many were planned, trained and failed."""
    names = options.datasets or config.DATASETS
    runs = profiles.grid(names, options.profile, options.seeds, options.lr_rule, options.precision)
    store = Store(frozen=None) if options.fresh else Store()
    jobs, device = options.jobs, options.device
    with dask_cluster.executor(options.executor, jobs, device) as executor:
        done = sweep(runs, store, jobs=jobs, device=device, executor=executor, progress=not options.json)
    failed = sum(bool(r["observed"].get("failure")) for k, r in store.live().items() if k in done)
    row = {"runs": len(runs), "computed_now": len(done), "failed": failed, "store": store.folder.name}
    return [row | store.agreement(Store().frozen_records()) if options.fresh else row]


def recorded_results(options) -> pd.DataFrame:
    """A row for each recorded run."""
    for name in options.datasets:
        one_of("data set", name, config.DATASETS)
    table = metrics.frame(Store().records().values())
    table = table[table["dataset"].isin(options.datasets)] if options.datasets else table
    return table if options.json else table[[*metrics.IN_SHORT, *metrics.MORE_METRICS]]


def measure_geometry(options) -> list[dict]:
    """Measure what is missing of trained networks."""
    if options.seeds is not None:
        whole("number of seeds", options.seeds, 1, profiles.SEEDS_ALLOWED)
    return geometry.complete(options.datasets or None, options.seeds, progress=not options.json)


def freeze_store(options) -> list[dict]:
    """Freeze, and draw the README's picture anew from what is now committed."""
    added = Store().freeze()
    committed = metrics.full_protocol(metrics.frame(Store().frozen_records().values()))
    style.save(landing.overview(committed), ROOT / "book" / "at_a_glance.svg")
    return [{"dataset": name, "added": count} for name, count in added.items()]


def verify_records(options) -> list[dict]:
    """Train committed runs again and compare, or hold the files against git."""
    if options.integrity:
        if options.datasets or options.sample != SAMPLE:
            raise BadInput("--integrity looks at all that is committed: it takes no data set or --sample.")
        return integrity.check_records(FROZEN)
    records = verify.random_sample(Store().frozen_records(), options.datasets, options.sample, options.seed)
    jobs = processes(options.jobs, data.usable(options.device))
    took = verify.seconds_expected(records, jobs)
    print(
        f"Training {len(records)} committed runs again, {jobs} at a time: about {math.ceil(took)} s, "
        "if this machine is as fast as the one that recorded them.",
        file=sys.stderr,
    )
    return verify.again(records, jobs=jobs, device=options.device, progress=not options.json)


def paper_table(options) -> pd.DataFrame:
    """A table of the paper beside ours."""
    return tables.by_number(options.number, metrics.full_protocol(metrics.frame(Store().records().values())))


def judged_claims(options) -> pd.DataFrame | str:
    """The distinct claims with their answers, or the statements and cells that were asked for."""
    ours = claims.evidence()
    judged = claims.judged(ours, options.section, options.id)
    if not (options.statements or options.section or options.id):
        found = claims.distinct(judged, ours)
        return found if options.json else claims.in_text(found)
    table = claims.verdict_frame(judged)
    return table.assign(records=[j.ids for j in judged]) if options.json else table[claims.COLUMNS[:10]]


def recommend_for(options) -> Told:
    """A batch size for a named problem or the reader's own model."""
    wanted = ("model", "data", "loss", "optimizer", "metric", "base_lr", "max_batch_size", "epochs", "budget")
    given = {name: getattr(options, name) for name in (*wanted, "device", "precision", "seed")}
    more = {"by_algorithm_2": options.algorithm_2, "progress": not options.json}
    with contextlib.redirect_stdout(sys.stderr):  # for what the reader's model prints
        return by_name.recommended(options.problem and problem(options.problem).posed(), **given, **more)


def execute_notebook(options) -> None:
    """Execute a notebook with the parameters given, and say where it lies."""
    print(execution.execute(options.name, notebooks.parse(options.parameters)))


def make_book(options) -> None:
    """Build the book, and say where it lies."""
    print(book.build_book())
