"""`python -m tests.mutants`: change one place of the package at a time; tell which test notices.

Places are comparisons, sums, signs, conditions, numbers, `min` for `max`, `low` for `high`, arguments left
out. Left out by rule are docstrings, annotations, the wording of errors and texts, looks of figures, and
arguments that only check, copy or choose a width (`LOOKS` and `CHECKS` in `mutate.py`). Each fault meets the
quickest tests that reach its line; what survives meets them again in a new process. `--again` seeds what
survived in an earlier output, to be asked of more tests or of new ones; `--seeded` the listed faults."""

import argparse
import os
import random
import re
import sys
from pathlib import Path

from . import cold
from .hunt import PACKAGE, Hunt, places_in
from .mutate import changed
from .seeded import FAULTS
from .survivors import reason

# Where faults are seeded, and the folders of tests that are asked.
ROOMS = {
    "analysis": ["analysis", "claims", "studies"],
    "choosing": ["choosing"],
    "claims": ["claims", "analysis"],
    "evaluation": ["evaluation"],
    "geometry": ["geometry"],
    "pages": ["pages"],
    "records": ["records", "sweeping"],
}


def hunt(room: str, args, ask) -> tuple[int, int, int, int]:
    """Faults tried, those that died, those that survive with a reason, and all places of the room."""
    places = places_in(PACKAGE / room, args.module)
    chosen = random.Random(args.seed).sample(places, min(args.sample or len(places), len(places)))
    if args.again:
        named = survivors_in(args.again)
        chosen = [p for p in places if (p[0], f"{p[2].function}: {p[2].text}") in named]
    reasons = {place[:2]: reason(place[0], place[2]) for place in chosen}
    tests = args.tests or [f"tests/{folder}" for folder in ROOMS[room]]
    died, excused, told = 0, 0, 0
    out = os.fdopen(os.dup(1), "w", buffering=1)  # tests may capture the other one

    def tell(place, by):
        nonlocal died, excused, told
        file, k, site = place
        why = reasons[file, k]
        told += 1
        died += bool(by)
        excused += not by and bool(why)
        said = by or (f"SURVIVES ({why})" if why else "SURVIVES")
        if not by or args.all:
            print(f"{file}:{site.line} {site.function}: {site.text}  <- {said}", file=out)

    cold.run_tests(
        tests,
        Hunt(
            sorted(chosen, key=lambda p: p[:2]),
            args.budget,
            tell,
            lambda place, tests: ask(*place[:2], tests),
        ),
    )
    if told < len(chosen):
        raise RuntimeError(f"of {len(chosen)} faults {len(chosen) - told} were not tried; pytest says why.")
    return told, died, excused, len(places)


def survivors_in(outputs: list[str]) -> set[tuple[str, str]]:
    """File and change of each survivor that an earlier output names; lines may have moved since."""
    lines = "".join(Path(output).read_text() for output in outputs)
    return set(re.findall(r"^(\S+):\d+ (.*)  <- SURVIVES", lines, re.MULTILINE))


def answer(file: str, k: int, tests: list[str]) -> str:
    path = PACKAGE / file
    return cold.killer(file, changed(path.read_text(), str(path), k), tests)


def seeded() -> None:
    """Every listed fault; ends with 1 where one survives."""
    survivors = 0
    for fault in FAULTS:
        path = PACKAGE / fault.file
        text = path.read_text().replace(fault.old, fault.new)
        code = compile(text, str(path), "exec") if path.suffix == ".py" else text
        by = cold.killer(fault.file, code, [fault.tests])
        survivors += not by
        print(f"{fault.file}: {fault.what}  <- {by or 'SURVIVES'}", flush=True)
    sys.exit(bool(survivors))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("rooms", nargs="*", metavar="room", help=f"of {', '.join(ROOMS)}; all unless named")
    parser.add_argument("--sample", type=int, default=200, help="faults for each room (200); 0: every one")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (0)")
    parser.add_argument("--budget", type=float, default=5, help="seconds of tests for each fault (5)")
    parser.add_argument("--module", default="", help='only in this one, or in some: "choice_*"')
    parser.add_argument("--tests", nargs="*", help="only these tests")
    parser.add_argument("--again", nargs="*", metavar="OUTPUT", help="only what survived in these outputs")
    parser.add_argument("--all", action="store_true", help="print what dies as well")
    parser.add_argument("--seeded", action="store_true", help="the listed faults, each of which must die")
    args = parser.parse_args()
    cold.prepare()
    if args.seeded:
        seeded()
    lines = [
        "| room | places | sampled | die | survive, changing nothing | survive |",
        "|---|---|---|---|---|---|",
    ]
    for room in args.rooms or ROOMS:
        tried, died, excused, places = cold.in_room(lambda ask, room=room: hunt(room, args, ask), answer)
        share = 100 * (died + excused) / max(tried, 1)
        lines.append(
            f"| {room} | {places} | {tried} | {died} ({share:.0f} %) | {excused} | {tried - died - excused} |"
        )
        print(lines[-1], flush=True)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
