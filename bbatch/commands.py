"""What each command of the command line takes, does and returns: rows to print, or a recommendation."""

import argparse
import contextlib
import math
import sys

import pandas as pd

from . import claims, config, data, geometry, metrics, profiles
from .choosing import by_name
from .choosing.answer import Told
from .errors import BadInput, one_of, whole
from .evaluation.problems import PROBLEMS, problem
from .geometry.networks import EFFORT
from .pages import landing, style, tables
from .publishing import book, execution, notebooks
from .records import integrity
from .records.store import FROZEN, Store
from .repository import ROOT
from .sweeping import dask_cluster, verify
from .sweeping.sweep import processes, sweep

SAMPLE = 3  # committed runs that `bbatch verify` trains again, where nothing else is asked


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        message = " ".join(message.split())
        raise BadInput(f"{message[0].lower()}{message[1:].rstrip('.')} (see `{self.prog} --help`).")


def parser() -> argparse.ArgumentParser:
    """The parser of all commands. What it parses holds its `command` and the `exit_code` of what it gives."""
    top = _Parser(prog="bbatch", description="Large-batch against small-batch training, measured.")
    names = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name, function, help, exit_code=lambda rows: 0):
        sub = names.add_parser(name, help=help, description=help)
        sub.add_argument("--json", action="store_true", help="print a list of objects instead of a table")
        sub.set_defaults(command=function, exit_code=exit_code)
        return sub

    def add_training(sub):
        rule = "how the learning rate follows the batch size (default: linear)"
        sub.add_argument("--lr-rule", default="linear", metavar="|".join(config.LR_RULES), help=rule)
        slow = "default: fp32; on a CPU without AVX-512, bf16 is no faster"
        sub.add_argument("--precision", default="fp32", metavar="|".join(config.PRECISIONS), help=slow)
        sub.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")

    def add_datasets(sub):
        names = ", ".join(config.DATASETS)
        sub.add_argument("datasets", nargs="*", metavar="DATASET", help=f"default: all of {names}")

    add("data", _data, "what data is available, from where, with its fingerprint")
    sub = add("run", _run, "train one configuration and record it")
    sub.add_argument("dataset", metavar="DATASET", help=", ".join(config.DATASETS))
    sub.add_argument("--batch-size", type=int, required=True)
    sub.add_argument("--seed", type=int, default=42, help="default: 42, the paper's")
    sub.add_argument("--epochs", type=int, help="default: the paper's")
    sub.add_argument("--base-lr", type=float, help="rate at the base batch size (default: the paper's)")
    warm = "epochs in which the rate climbs to its full value (default: the paper's); 0: no warm-up"
    sub.add_argument("--warmup-epochs", type=int, help=warm)
    add_training(sub)
    sub = add("sweep", _sweep, "train every run of a profile that has no record yet")
    add_datasets(sub)
    sub.add_argument("--profile", default="paper", metavar="|".join(profiles.PROFILES), help="default: paper")
    sub.add_argument("--seeds", type=int, help="how many, from 42 on (default: the profile's)")
    sub.add_argument("--jobs", type=int, help="processes (default: as many as cores)")
    kinds = "what runs them: processes of its own, a Dask cluster on this machine, or one that is there"
    executors = "processes|dask|dask://HOST:PORT"
    sub.add_argument("--executor", default="processes", metavar=executors, help=kinds)
    fresh = "leave committed records out, and compare at the end"
    sub.add_argument("--fresh", action="store_true", help=fresh)
    add_training(sub)
    sub = add("results", _results, "a row for each recorded run")
    add_datasets(sub)
    add("freeze", _freeze, "gather live records into the committed files under results/")
    what = "train some of the committed runs again and compare: exit code 1 where one differs"
    sub = add("verify", _verify, what, lambda rows: int(not verify.agree(rows)))
    add_datasets(sub)
    sample = f"how many, chosen at random (default: {SAMPLE})"
    sub.add_argument("--sample", type=int, default=SAMPLE, metavar="K", help=sample)
    sub.add_argument(
        "--integrity",
        action="store_true",
        help="train nothing: hold the committed files against their checksums and against git's history",
    )
    sub.add_argument("--seed", type=int, default=0, help="of the choice (default: 0)")
    sub.add_argument("--jobs", type=int, help="processes (default: as many as cores)")
    sub.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    sub = add(
        "geometry",
        _geometry,
        "landscapes, sharpness and gradient noise of trained networks: measure what is missing",
    )
    sub.add_argument("datasets", nargs="*", metavar="DATASET", help=f"default: all of {', '.join(EFFORT)}")
    sub.add_argument(
        "--seeds", type=int, help="how many networks of each kind, from 42 on (default: as planned)"
    )
    sub = add("tables", _tables, "a table of the paper beside ours")
    sub.add_argument("number", type=int, metavar="N", help="1 to 8")
    what = "one batch size and learning rate for a model: how sure, why, what next"
    sub = add("recommend", _recommend, what, lambda told: int(told.batch_size is None))
    sub.add_argument("problem", nargs="?", metavar="PROBLEM", help=", ".join(PROBLEMS))
    sub.add_argument(
        "--model", metavar="MODULE:FUNCTION", help="makes your model, new each time it is called"
    )
    sub.add_argument("--data", metavar="MODULE:FUNCTION", help="gives (train, validation), or one data set")
    sub.add_argument(
        "--loss", metavar="NAME|MODULE:FUNCTION", help="such as mse_loss (default: cross_entropy)"
    )
    sub.add_argument(
        "--optimizer",
        metavar="NAME|MODULE:FUNCTION",
        help="of torch.optim (default: the problem's, else adam)",
    )
    sub.add_argument(
        "--metric", metavar="MODULE:FUNCTION", help="of (outputs, targets), the higher the better"
    )
    sub.add_argument("--base-lr", type=float, help="rate at a batch of 32, where the search begins")
    sub.add_argument("--max-batch-size", type=int, help="try none that is larger")
    sub.add_argument("--epochs", type=int, default=20, help="of a training (default: 20)")
    sub.add_argument("--budget", type=float, default=60.0, help="seconds for all of it (default: 60)")
    sub.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    sub.add_argument("--precision", default="fp32", metavar="|".join(config.PRECISIONS), help="default: fp32")
    sub.add_argument("--seed", type=int, default=0, help="default: 0")
    sub.add_argument(
        "--algorithm-2", action="store_true", help="what the paper's Algorithm 2 chooses, instead"
    )
    sub = add("claims", _claims, "the paper's claims, judged against its own tables and against our runs")
    sub.add_argument("--statements", action="store_true", help="every statement and cell, not the claims")
    sub.add_argument("--section", metavar="S", help="statements of IV-D, abstract, 'Table V', ...")
    sub.add_argument("--id", nargs="+", default=[], metavar="ID", help="statements by their ids")
    add("notebooks", lambda o: notebooks.listing(), "the notebooks and their parameters")
    sub = add(
        "notebook", _notebook, "execute a notebook; unknown parameters are refused before anything runs"
    )
    sub.add_argument("name", metavar="NAME", help="its name, such as 03_mnist, or its number")
    sub.add_argument(
        "parameters", nargs="*", default=[], metavar="name=value", help="in place of the notebook's defaults"
    )
    add("book", _book, "execute the notebooks and build the book")
    return top


def _data(options) -> list[dict]:
    rows = []
    for name, spec in config.DATASETS.items():
        row = {"dataset": name, "train": spec.n_train, "test": spec.n_test, "available": True}
        try:
            found = data.load(name, download=False)
            rows.append(row | {"source": found.source, "fingerprint": found.fingerprint})
        except BadInput as error:
            rows.append(row | {"available": False, "source": str(error), "fingerprint": None})
    return rows


def _run(options) -> pd.DataFrame:
    changeable = ("epochs", "base_lr", "warmup_epochs", "lr_rule", "precision")
    changes = {name: getattr(options, name) for name in changeable}
    run = config.plan(options.dataset, options.batch_size, options.seed, **changes)
    store = Store()
    sweep([run], store, jobs=1, device=options.device, progress=not options.json)
    key = run.key(data.load(run.dataset).fingerprint)
    return metrics.frame([store.records()[key]])


def _sweep(options) -> list[dict]:
    names = options.datasets or config.DATASETS
    runs = profiles.grid(names, options.profile, options.seeds, options.lr_rule, options.precision)
    store = Store(frozen=None) if options.fresh else Store()
    jobs, device = options.jobs, options.device
    with dask_cluster.executor(options.executor, jobs, device) as executor:
        done = sweep(runs, store, jobs=jobs, device=device, executor=executor, progress=not options.json)
    failed = sum(bool(r["observed"].get("failure")) for k, r in store.live().items() if k in done)
    row = {"runs": len(runs), "computed_now": len(done), "failed": failed, "store": store.folder.name}
    return [row | store.agreement(Store().frozen_records()) if options.fresh else row]


def _results(options) -> pd.DataFrame:
    for name in options.datasets:
        one_of("data set", name, config.DATASETS)
    table = metrics.frame(Store().records().values())
    table = table[table["dataset"].isin(options.datasets)] if options.datasets else table
    return table if options.json else table[[*metrics.IN_SHORT, *metrics.MORE_METRICS]]


def _geometry(options) -> list[dict]:
    if options.seeds is not None:
        whole("number of seeds", options.seeds, 1, profiles.SEEDS_ALLOWED)
    return geometry.complete(options.datasets or None, options.seeds, progress=not options.json)


def _freeze(options) -> list[dict]:
    """Freeze, and draw the README's picture anew from what is now committed."""
    added = Store().freeze()
    committed = metrics.full_protocol(metrics.frame(Store().frozen_records().values()))
    style.save(landing.overview(committed), ROOT / "book" / "at_a_glance.svg")
    return [{"dataset": name, "added": count} for name, count in added.items()]


def _verify(options) -> list[dict]:
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


def _tables(options) -> pd.DataFrame:
    return tables.by_number(options.number, metrics.full_protocol(metrics.frame(Store().records().values())))


def _claims(options) -> pd.DataFrame | str:
    ours = claims.evidence()
    judged = claims.judged(ours, options.section, options.id)
    if not (options.statements or options.section or options.id):
        found = claims.distinct(judged, ours)
        return found if options.json else claims.in_text(found)
    table = claims.verdict_frame(judged)
    return table.assign(records=[j.ids for j in judged]) if options.json else table[claims.COLUMNS[:10]]


def _recommend(options) -> Told:
    wanted = ("model", "data", "loss", "optimizer", "metric", "base_lr", "max_batch_size", "epochs", "budget")
    given = {name: getattr(options, name) for name in (*wanted, "device", "precision", "seed")}
    more = {"by_algorithm_2": options.algorithm_2, "progress": not options.json}
    with contextlib.redirect_stdout(sys.stderr):  # for what the reader's model prints
        return by_name.recommended(options.problem and problem(options.problem).posed(), **given, **more)


def _notebook(options) -> None:
    print(execution.execute(options.name, notebooks.parse(options.parameters)))


def _book(options) -> None:
    print(book.build_book())
