"""The rooms: every import points down, none runs in a circle, and a public name stands in one module."""

import ast
from collections import Counter
from pathlib import Path

import pytest

import bbatch

PACKAGE = Path(bbatch.__file__).parent
# A floor a line, the top one first. Modules of one floor may import each other, but in no circle.
FLOORS = (
    ("cli", "__main__"),
    ("parser",),
    ("commands",),
    ("publishing",),
    ("pages",),
    ("claims",),
    ("analysis",),
    ("evaluation",),
    ("choosing",),
    ("geometry",),
    ("studies",),
    ("sweeping",),
    ("records",),
    ("trainer",),
    ("engines",),
    ("recipe",),
    ("beyond", "data", "extensions", "metrics", "profiles", "published"),
    ("config",),
    ("models", "optimizers"),
    ("adapter",),
    ("image_files",),
    ("bfloat16", "errors", "files", "nests", "repository", "statistics", "streams"),
)
FLOOR = {room: len(FLOORS) - level for level, rooms in enumerate(FLOORS) for room in rooms}
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path != PACKAGE / "__init__.py"
}


def imported(module: str, text: str) -> set[str]:
    """The modules of the package that a module's text imports, anywhere in it."""
    parts = module.split(".")
    package = parts if MODULES[module].name == "__init__.py" else parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {a.name.removeprefix("bbatch.") for a in node.names if a.name.startswith("bbatch.")}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                source = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            elif (node.module or "").split(".")[0] == "bbatch":
                source = node.module.split(".")[1:]
            else:
                continue
            source = ".".join(part for part in source if part)
            for alias in node.names:
                inner = f"{source}.{alias.name}".strip(".")
                found.add(inner if inner in MODULES else source)
    return found & set(MODULES)


@pytest.fixture(scope="module")
def arrows() -> dict[str, set[str]]:
    """What each module imports."""
    return {module: imported(module, path.read_text()) for module, path in MODULES.items()}


def floor(module: str) -> int:
    return FLOOR[module.split(".")[0]]


def upward(arrows: dict[str, set[str]]) -> list[str]:
    return [f"{a} -> {b}" for a, below in arrows.items() for b in sorted(below) if floor(a) < floor(b)]


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """The modules of a circle of imports, if any: those left when all that import nothing left are taken."""
    left = {module: set(below) - {module} for module, below in arrows.items()}
    while ends := {module for module, below in left.items() if not below & set(left)}:
        left = {module: below for module, below in left.items() if module not in ends}
    return sorted(left)


def test_every_module_stands_in_a_room():
    assert {module.split(".")[0] for module in MODULES} == set(FLOOR)


def test_imports_point_down(arrows):
    assert upward(arrows) == []


def test_imports_run_in_no_circle(arrows):
    assert circle(arrows) == []


def test_the_search_finds_an_upward_import_and_a_circle():
    found = imported(
        "trainer", "def f():\n    from .pages import report\n    from bbatch.claims.rules import NOT\n"
    )
    assert found == {"pages.report", "claims.rules"}
    assert upward({"trainer": found}) == ["trainer -> claims.rules", "trainer -> pages.report"]
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]


def test_no_module_is_long():
    lines = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: n for module, n in lines.items() if n > 250} == {}


def clever(text: str) -> list[str]:
    """The f-strings inside an f-string, and the texts multiplied, that a module holds."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.JoinedStr):
            filled = (value.value for value in node.values if isinstance(value, ast.FormattedValue))
            inside = (inner for value in filled for inner in ast.walk(value))
            found += [ast.unparse(inner) for inner in inside if isinstance(inner, ast.JoinedStr)]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            sides = [getattr(side, "value", side) for side in (node.left, node.right)]
            found += [ast.unparse(node) for side in sides if isinstance(side, (str, ast.JoinedStr))]
    return found


def test_nothing_is_clever():
    assert {module: said for module, path in MODULES.items() if (said := clever(path.read_text()))} == {}
    assert clever("""f"{f'{a}' if a else b}"; "x" * (a > b); f"{a}" * b; f"{a:{b}}"; 2 * a""") == [
        "f'{a}'",
        "'x' * (a > b)",
        "f'{a}' * b",
    ]


def public(path: Path) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {n.name for n in ast.parse(path.read_text()).body if isinstance(n, kinds) and n.name[0] != "_"}


def test_a_public_name_stands_in_one_module():
    counts = Counter(name for path in MODULES.values() for name in public(path))
    assert {name for name, n in counts.items() if n > 1} == {"main"}  # what each program begins with
