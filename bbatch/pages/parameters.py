"""What a notebook was asked to show: its parameters, checked in the kernel, and said in every caption.

papermill only warns of a name that the notebook does not have, and JupyterLab asks nobody; so the notebook
looks itself. A parameter of one name means the same in every notebook (`CHECKS`)."""

import ast
import re
from types import ModuleType

from ..config import DATASETS, PRECISIONS
from ..errors import BadInput, one_of, whole
from ..profiles import PROFILES, SEEDS_ALLOWED

RECORDED = "recorded"  # a precision that a page may ask for: of each data set the one with more runs
TYPES = {"int": int, "float": (int, float), "str": str, "bool": bool, "list": list, "dict": dict}
# What the committed pages show. Which data sets, each figure and table says by itself.
COMMITTED = {"profile": "paper", "seeds": 0, "precision": RECORDED}

_asked: dict = {}  # the parameters of this kernel's page
_changed: set[str] = set()  # names of those that papermill gave another value than the committed one


def remember(cells: list[str], values: dict) -> None:
    """Check a page's parameters and keep them for its captions.

    `cells` are the texts of the cells run so far, `values` the variables that they left. Raises `BadInput`
    for an injected name that the notebook does not have, and for a value that no page can show."""
    _asked.clear()
    _changed.clear()
    # papermill puts what it injects right behind the cell of the defaults.
    injected = [k for k, text in enumerate(cells) if text.startswith("# Parameters\n")]
    given, defaults, kinds = {}, {}, {}
    if injected:
        at = injected[-1]
        given, defaults, kinds = _assigned(cells[at]), _assigned(cells[at - 1]), _kinds(cells[at - 1])
    for name in given:
        one_of("parameter", name, list(defaults))
        if name in values and not fits(values[name], kinds[name]):
            raise BadInput(f"parameter {name!r} is {values[name]!r}; it must be of type {kinds[name]}.")
    _changed.update(name for name in given if given[name] != defaults[name])
    for name in CHECKS:
        if name in values and not isinstance(values[name], ModuleType):  # a page may import one of that name
            CHECKS[name](values[name])
    _asked.update((name, v) for name in COMMITTED if not isinstance(v := values.get(name), ModuleType | None))


def note() -> str:
    """What differs from the committed page, for the end of a caption: " (quick profile, 2 seeds at most)"."""
    asked = {name: value for name, value in _asked.items() if value != COMMITTED[name]}
    said = [f"{asked['profile']} profile"] if "profile" in asked else []
    if "seeds" in asked:
        said.append(f"{asked['seeds']} seed{'s' if asked['seeds'] > 1 else ''} at most")
    said += [f"{asked['precision']} alone"] if "precision" in asked else []
    return f" ({', '.join(said)})" if said else ""


def finding(title: str) -> str:
    """A figure's title that says what the committed page finds; nothing where a page may show something
    else."""
    return "" if _changed else title


def fits(value, kind: str) -> bool:
    """Whether `value` is of the type named `kind`, if that is one of `TYPES` or a list of one: list[int]."""
    if inner := re.fullmatch(r"list\[(\w+)\]", kind):
        return isinstance(value, list) and all(fits(item, inner[1]) for item in value)
    if kind not in TYPES:  # None, or a type of the reader's own: anything may be meant
        return True
    if isinstance(value, bool):  # to Python a bool is an int; to a reader it is not
        return kind == "bool"
    return isinstance(value, TYPES[kind])


def _assigned(text: str) -> dict[str, str]:
    """What a cell gives values to at its outermost level: the values' source, in one spelling, by name."""
    found = {}
    for node in ast.parse(text).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        found |= dict.fromkeys(names, ast.unparse(value) if value else "")
    return found


def _kinds(text: str) -> dict[str, str]:
    """The types that a cell annotates its names with, as text; "" where it does not."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = ast.unparse(node.annotation)
        elif isinstance(node, ast.Assign):
            found |= dict.fromkeys((t.id for t in node.targets if isinstance(t, ast.Name)), "")
    return found


def _datasets(given) -> None:
    if not (isinstance(given, list | tuple) and given):
        raise BadInput(
            f"datasets is {given!r}; it must be a list of one data set or more: {', '.join(DATASETS)}."
        )
    for name in given:
        one_of("data set", name, DATASETS)
    if len(set(given)) < len(given):
        raise BadInput(f"datasets is {given!r}; each may be named once.")


def _percent(given) -> None:
    if not fits(given, "float") or not 0 < given < 100:
        raise BadInput(f"accuracy is {given!r}; it must be a percentage above 0 and below 100.")


CHECKS = {
    "dataset": lambda given: one_of("data set", given, DATASETS),
    "datasets": _datasets,
    "profile": lambda given: one_of("profile", given, PROFILES),
    "seeds": lambda given: whole("number of seeds", given, 0, SEEDS_ALLOWED),
    "live_seeds": lambda given: whole("number of live seeds", given, 0, SEEDS_ALLOWED),
    "precision": lambda given: one_of("precision", given, (RECORDED, *PRECISIONS)),
    "accuracy": _percent,
}
