"""The worked example, `recommend` on the digits. `python -m bbatch.evaluation.example` records it."""

import json

from ..choosing.answer import Answer, restored
from ..choosing.recommend import recommend
from ..errors import BadInput
from ..files import write_whole
from ..records.store import FROZEN
from .problems import problem

EXAMPLE = FROZEN / "selection" / "example.json"


def example(compute: bool = False) -> Answer:
    """The answer for the digits: as recorded, or found here and now. Raises `BadInput` without a record."""
    if compute:
        return recommend(**problem("digits").posed(), progress=False)
    if not EXAMPLE.is_file():
        raise BadInput(f"{EXAMPLE.name} is not recorded; `python -m bbatch.evaluation.example` records it.")
    return restored(json.loads(EXAMPLE.read_text()))


if __name__ == "__main__":
    EXAMPLE.parent.mkdir(parents=True, exist_ok=True)
    write_whole(EXAMPLE, (json.dumps(example(compute=True).to_dict(), indent=1) + "\n").encode())
