"""`python -m bbatch.studies NAME ...`: train what the tables of these studies lack, and write them."""

import argparse
import sys

from .. import extensions
from ..config import PRECISIONS
from ..errors import BadInput
from . import STUDIES, runner


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bbatch.studies", description=__doc__)
    titles = "; ".join(f"{name}: {study.title}" for name, study in STUDIES.items())
    parser.add_argument("names", nargs="+", choices=STUDIES, metavar="NAME", help=titles)
    parser.add_argument("--jobs", type=int, default=1, help="processes of one thread each")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    given = parser.parse_args(words)
    try:
        extensions.import_named()
        for name in given.names:
            trials = STUDIES[name].trials(given.precision)
            trained = runner.run(name, trials, jobs=given.jobs, device=given.device)
            print(f"{name}: {trained} runs trained", flush=True)
    except BadInput as error:
        print(f"bbatch: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
