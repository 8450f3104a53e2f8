"""`python -m tests.mutants`: seed faults at random places of each room; tell which die, and by which test.

Each fault meets the quickest tests that call the function that it is in. First, once, all tests of its room
run, to see which call what (`--again` does that anew). `--seeded` seeds the listed faults instead."""

import argparse
import ast
import json
import random
import sys

from . import process
from .calls import PACKAGE, Recorder
from .mutate import Site, changed, sites
from .seeded import FAULTS
from .survivors import EQUIVALENT

CALLS = process.ROOT / "_build" / "mutants" / "calls.json"
# Where faults are seeded, and the folders of tests that are asked.
ROOMS = {
    "analysis": ["analysis", "claims", "studies"],
    "choosing": ["choosing"],
    "claims": ["claims", "analysis"],
    "geometry": ["geometry"],
    "pages": ["pages"],
    "records": ["records", "sweeping"],
}


def learn(rooms: list[str]) -> dict:
    """Which tests call what, by folder of tests; kept in `_build/`."""
    CALLS.parent.mkdir(parents=True, exist_ok=True)
    found = json.loads(CALLS.read_text()) if CALLS.exists() else {}
    for folder in sorted({folder for room in rooms for folder in ROOMS[room]} - set(found)):
        print(f"Learning what tests/{folder} calls.", flush=True)
        place = CALLS.with_name(f"{folder}.json")

        def work(folder=folder, place=place):
            recorder = Recorder()
            process.run_tests([f"tests/{folder}"], recorder)
            place.write_text(json.dumps(recorder.table()))
            return "done"

        process.in_child(work, 3600)
        found[folder] = json.loads(place.read_text())
        CALLS.write_text(json.dumps(found))
    return found


def tests_of(site: Site, file: str, learned: dict, folders: list[str], budget: float) -> list[str]:
    """The quickest tests that call the function, together `budget` seconds of their first run; where none
    does, those that call anything in the file."""
    tests = {name: entry for folder in folders for name, entry in learned[folder].items()}

    def callers(function: str) -> dict:
        return {
            name: entry
            for name, entry in tests.items()
            if any(f == file and f"{called}.".startswith(function) for f, called in entry["calls"])
        }

    fits = {} if site.function == "<module>" else callers(f"{site.function}.")
    fits, chosen, shared = fits or callers(""), [], set()
    while fits:
        cost = {
            name: entry["seconds"] + sum(s for f, s in entry["shared"].items() if f not in shared)
            for name, entry in fits.items()
        }
        quickest = min(cost, key=cost.get)
        if chosen and cost[quickest] > budget:
            break
        budget -= cost[quickest]
        shared |= set(fits.pop(quickest)["shared"])
        chosen.append(quickest)
    return chosen


def sample(args) -> None:
    learned, lines = learn(args.rooms), []
    for room in args.rooms:
        files = [f for f in sorted((PACKAGE / room).glob("*.py")) if args.module in f.name]
        texts = {str(f.relative_to(PACKAGE)): f.read_text() for f in files}
        places = [(f, k, s) for f, text in texts.items() for k, s in enumerate(sites(ast.parse(text)))]
        chosen = random.Random(args.seed).sample(places, min(args.sample, len(places)))
        killed = 0
        for file, k, site in sorted(chosen, key=lambda place: place[:2]):
            if reason := EQUIVALENT.get((file, site.function, site.text)):
                by = f"changes nothing: {reason}"
            elif tests := tests_of(site, file, learned, ROOMS[room], args.budget):
                code = changed(texts[file], str(PACKAGE / file), k)
                by = process.killer(file, code, tests, 60 + 20 * args.budget)
            else:
                by = ""
            killed += bool(by)
            print(f"{file}:{site.line} {site.function}: {site.text}  <- {by or 'SURVIVES'}", flush=True)
        share = 100 * killed / max(len(chosen), 1)
        lines.append(f"{room}: {killed} of {len(chosen)} faults die ({share:.0f} %), of {len(places)} places")
    print("\n".join(lines))


def seeded() -> None:
    """Every listed fault; ends with 1 where one survives."""
    survivors = 0
    for fault in FAULTS:
        path = PACKAGE / fault.file
        text = path.read_text().replace(fault.old, fault.new)
        by = process.killer(
            fault.file, compile(text, str(path), "exec") if path.suffix == ".py" else text, [fault.tests], 900
        )
        survivors += not by
        print(f"{fault.file}: {fault.what}  <- {by or 'SURVIVES'}", flush=True)
    sys.exit(bool(survivors))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("rooms", nargs="*", metavar="room", help=f"of {', '.join(ROOMS)}; all unless named")
    parser.add_argument("--sample", type=int, default=40, help="faults for each room (40)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (0)")
    parser.add_argument("--budget", type=float, default=20, help="seconds of tests for each fault (20)")
    parser.add_argument("--module", default="", help="only in files whose names hold this")
    parser.add_argument("--again", action="store_true", help="learn anew which tests call what")
    parser.add_argument("--seeded", action="store_true", help="the listed faults, each of which must die")
    args = parser.parse_args()
    args.rooms = args.rooms or list(ROOMS)
    if args.again:
        CALLS.unlink(missing_ok=True)
    process.prepare()
    if args.seeded:
        seeded()
    else:
        sample(args)


if __name__ == "__main__":
    main()
