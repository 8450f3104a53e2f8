"""The command line's words: each command, its options, and the function of `commands` that it calls."""

import argparse

from . import commands, config, profiles
from .errors import BadInput
from .evaluation.problems import PROBLEMS
from .geometry.networks import EFFORT
from .publishing import notebooks
from .sweeping import verify


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

    add("data", commands.available_data, "what data is available, from where, with its fingerprint")
    sub = add("run", commands.train_one, "train one configuration and record it")
    sub.add_argument("dataset", metavar="DATASET", help=", ".join(config.DATASETS))
    sub.add_argument("--batch-size", type=int, required=True)
    sub.add_argument("--seed", type=int, default=42, help="default: 42, the paper's")
    sub.add_argument("--epochs", type=int, help="default: the paper's")
    sub.add_argument("--base-lr", type=float, help="rate at the base batch size (default: the paper's)")
    warm = "epochs in which the rate climbs to its full value (default: the paper's); 0: no warm-up"
    sub.add_argument("--warmup-epochs", type=int, help=warm)
    add_training(sub)
    sub = add("sweep", commands.train_profile, "train every run of a profile that has no record yet")
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
    sub = add("results", commands.recorded_results, "a row for each recorded run")
    add_datasets(sub)
    add("freeze", commands.freeze_store, "gather live records into the committed files under results/")
    what = "train some of the committed runs again and compare: exit code 1 where one differs"
    sub = add("verify", commands.verify_records, what, lambda rows: int(not verify.agree(rows)))
    add_datasets(sub)
    sample = f"how many, chosen at random (default: {commands.SAMPLE})"
    sub.add_argument("--sample", type=int, default=commands.SAMPLE, metavar="K", help=sample)
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
        commands.measure_geometry,
        "landscapes, sharpness and gradient noise of trained networks: measure what is missing",
    )
    sub.add_argument("datasets", nargs="*", metavar="DATASET", help=f"default: all of {', '.join(EFFORT)}")
    sub.add_argument(
        "--seeds", type=int, help="how many networks of each kind, from 42 on (default: as planned)"
    )
    sub = add("tables", commands.paper_table, "a table of the paper beside ours")
    sub.add_argument("number", type=int, metavar="N", help="1 to 8")
    what = "one batch size and learning rate for a model: how sure, why, what next"
    sub = add("recommend", commands.recommend_for, what, lambda told: int(told.batch_size is None))
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
    sub = add(
        "claims",
        commands.judged_claims,
        "the paper's claims, judged against its own tables and against our runs",
    )
    sub.add_argument("--statements", action="store_true", help="every statement and cell, not the claims")
    sub.add_argument("--section", metavar="S", help="statements of IV-D, abstract, 'Table V', ...")
    sub.add_argument("--id", nargs="+", default=[], metavar="ID", help="statements by their ids")
    add("notebooks", lambda options: notebooks.listing(), "the notebooks and their parameters")
    sub = add(
        "notebook",
        commands.execute_notebook,
        "execute a notebook; unknown parameters are refused before anything runs",
    )
    sub.add_argument("name", metavar="NAME", help="its name, such as 03_mnist, or its number")
    sub.add_argument(
        "parameters", nargs="*", default=[], metavar="name=value", help="in place of the notebook's defaults"
    )
    add("book", commands.make_book, "execute the notebooks and build the book")
    return top
