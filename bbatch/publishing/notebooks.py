"""Notebooks: which there are, and what parameters they take.

papermill injects the parameters; it only warns about a name it does not know, so names and types are checked
here first.
"""

import ast
from pathlib import Path

from ..errors import BadInput, one_of
from ..pages.parameters import fits
from ..repository import ROOT

FOLDER = ROOT / "notebooks"


def paths() -> list[Path]:
    """The committed notebooks, in reading order."""
    return sorted(FOLDER.glob("*.ipynb"))


def find(name: str | Path) -> Path:
    """A notebook by path, by name (`03_mnist`) or by number (`03`, `3`). Raises `BadInput` where there is
    none."""
    if Path(name).suffix == ".ipynb":
        if not Path(name).is_file():
            raise BadInput(f"notebook {str(name)!r} is not a file; `bbatch notebooks` lists those there are.")
        return Path(name).resolve()
    known = {}
    for path in paths():
        number = path.stem.split("_")[0]
        known |= dict.fromkeys((path.stem, number, number.lstrip("0")), path)
    one_of("notebook", str(name), [path.stem for path in paths()] if str(name) not in known else known)
    return known[str(name)]


def listing() -> list[dict]:
    """A row for each parameter of each notebook: notebook, parameter, type, default, help."""
    return [{"notebook": path.stem} | row for path in paths() for row in parameters_of(path)]


def parameters_of(path: Path) -> list[dict]:
    """The parameters of one notebook, in order; the type is the annotation, or the default's."""
    import nbformat  # takes two seconds; most commands read no notebook
    import papermill

    rows = []
    try:
        nbformat.validate(nbformat.read(path, as_version=4))
    except Exception as error:  # nbformat raises many kinds
        raise BadInput(
            f"{str(path)!r} cannot be read as a notebook ({type(error).__name__}); give a Jupyter notebook "
            "of format 4."
        ) from error
    for found in papermill.inspect_notebook(str(path)).values():
        try:
            default = ast.literal_eval(found["default"])
        except (ValueError, SyntaxError) as error:
            raise BadInput(
                f"parameter {found['name']!r} of {path.stem} has the default {found['default']}, which is "
                "not a plain Python value."
            ) from error
        kind = found["inferred_type_name"]
        row = {"parameter": found["name"], "type": _type_of(default) if kind == "None" else kind}
        rows.append(row | {"default": default, "help": found["help"]})
    return rows


def _type_of(value) -> str:
    """Name of a default's type: int, or list[str] for a list whose items are all text."""
    items = {type(item).__name__ for item in value} if isinstance(value, list) else ()
    return f"list[{items.pop()}]" if len(items) == 1 else type(value).__name__


def parse(pairs: list[str]) -> dict:
    """`["seeds=3", "dataset=mnist"]` as a dict: Python literals where they are, text where they are not."""
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise BadInput(f"parameter {pair!r} cannot be read; write name=value.")
        try:
            values[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            values[name] = text
    return values


def check_parameters(path: Path, parameters: dict) -> None:
    """Raise `BadInput` for a parameter that the notebook lacks or a value of another type."""
    known = {row["parameter"]: row for row in parameters_of(path)}
    for name, value in parameters.items():
        one_of(f"parameter of {path.stem}", name, known)
        if not fits(value, known[name]["type"]):
            raise BadInput(
                f"parameter {name!r} of {path.stem} is {value!r}; it must be of type {known[name]['type']}, "
                f"such as {known[name]['default']!r}."
            )
