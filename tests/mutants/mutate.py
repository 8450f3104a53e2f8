"""Places of a module's text that can be changed (`sites`), and its code with one of them changed."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType

COMPARED = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
TURNED = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE}
COMPUTED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
# Words of the subject that are easily taken one for the other: as attributes, names and texts.
SWAPPED = dict(
    [
        *(("low", "high"), ("min", "max"), ("any", "all"), ("gap", "gap_running"), ("floor", "ceil")),
        *(("idxmin", "idxmax"), ("argmin", "argmax"), ("mean", "median"), ("train_acc", "test_acc")),
    ]
)
SWAPPED |= {b: a for a, b in SWAPPED.items()}
# Arguments that say how a thing looks, not what it says; those that only check, copy, choose a width or
# allow for another process that does the same or for a loss of power.
LOOKS = set(
    "alpha lw linewidth linewidths ms markersize s fontsize size figsize zorder pad labelpad loc ha va"
    " rotation capsize elinewidth ncols ncol frameon bbox_to_anchor borderaxespad handlelength columnspacing"
    " aspect constrained_layout layout height_ratios width_ratios hspace wspace rasterized clip_on dpi margin"
    " opacity xytext textcoords fontweight shrink markeredgewidth markerscale labelspacing labelsize"
    " horizontal_spacing interpolation default_height camera_eye subs numticks linscale arrowprops fmt"
    " marker cmap colors colorscale template height paper_bgcolor len linestyle ls color ecolor edgecolor"
    " facecolor markerfacecolor squeeze sharex sharey width least".split()
)
# Calls of which every argument does: grid lines, ticks of an axis (not where they stand: `set_xticks`).
LOOKS_CALLED = set("grid tick_params minorticks_off set_axisbelow set_minor_locator".split())
# Names that hold nothing else: sizes, distances, where a name stands, and dictionaries of such arguments.
LOOKS_NAMED = set("STYLE KEY SCALE figsize margin shades hollow far NAMED".split())
CHECKS = set(
    "strict dtype copy observed validate stacklevel encoding newline missing_ok durable allow_pickle".split()
)


@dataclass(frozen=True)
class Site:
    """A place that can be changed: in which function (or class, or `<module>`), on which line, how; what
    changes the tree; the lines of which one is reached where the place is; and the names that a module's own
    statement gives a value to."""

    function: str
    line: int
    text: str
    edit: Callable[[], None]
    reached_by: range | list[int]
    names: tuple[str, ...] = ()


def sites(tree: ast.Module) -> list[Site]:
    """All places, in the order of the text."""
    found = []
    for statement in tree.body:
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        names = tuple(n.id for t in targets if t for n in ast.walk(t) if isinstance(n, ast.Name))
        uses = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in names]
        holder = ast.Module([statement], [])
        found += _inside(holder, "<module>", uses or range(1, statement.end_lineno + 10**5), names)
    return found


def changed(text: str, path: str, index: int) -> CodeType:
    """The module's code with the `index`-th place of `sites` changed."""
    tree = ast.parse(text)
    sites(tree)[index].edit()
    return compile(ast.fix_missing_locations(tree), path, "exec")


def _inside(node: ast.AST, function: str, lines, names=()) -> Iterator[Site]:
    for field, child in _children(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = child.name if function == "<module>" else f"{function}.{child.name}"
            yield from _inside(child, name, range(child.lineno, child.end_lineno + 1))
            continue
        if _is_prose(node, field, child):
            continue
        if isinstance(child, ast.arguments):  # defaults, which are made when the module is
            yield from _inside(child, f"{function} defaults", lines)
            continue
        if isinstance(child, ast.stmt) and function != "<module>" and not isinstance(node, ast.ClassDef):
            first = min((s.lineno - 1 for s in getattr(child, "body", [])), default=child.end_lineno)
            lines = range(child.lineno, max(first, child.lineno) + 1)
        for text, edit in _edits(child):
            yield Site(function, child.lineno, text, edit, lines, names)
        yield from _inside(child, function, lines, names)


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield field, child


def _is_prose(parent: ast.AST, field: str, child: ast.AST) -> bool:
    """What changes no result: annotations, decorators, messages of errors, imports, looks."""
    if field in ("annotation", "returns", "decorator_list", "format_spec", "bases"):
        return True
    if isinstance(child, ast.keyword) and child.arg in LOOKS | CHECKS:
        return True
    if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute):
        if child.func.attr in LOOKS_CALLED:
            return True
    if isinstance(child, ast.Assign) and _names_of(child) <= LOOKS_NAMED:
        return True
    if isinstance(child, ast.Raise | ast.Import | ast.ImportFrom | ast.Assert):
        return True
    return isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)


def _names_of(statement: ast.Assign) -> set[str]:
    """The names that a statement gives values to, or "" where it gives one to anything else."""
    return {getattr(target, "id", "") for target in statement.targets}


def _edits(node: ast.AST) -> Iterator[tuple[str, Callable[[], None]]]:
    if isinstance(node, ast.Compare):
        for table in (COMPARED, TURNED):
            for i, op in enumerate(node.ops):
                if type(op) in table:
                    new = table[type(op)]()
                    yield f"{_told(node)}: {_name(op)} to {_name(new)}", _put(node.ops, i, new)
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in COMPUTED:
        if not _is_text(node):
            new = COMPUTED[type(node.op)]()
            yield f"{_told(node)}: {_name(node.op)} to {_name(new)}", _set(node, "op", new)
    elif isinstance(node, ast.BoolOp):
        new = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"{_told(node)}: {_name(node.op)} to {_name(new)}", _set(node, "op", new)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield f"{_told(node)}: minus to plus", _set(node, "op", ast.UAdd())
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield f"if {_told(node.test)}: negated", _set(node, "test", ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Constant):
        if (new := _other(node.value)) is not None:
            yield f"{node.value!r} to {new!r}", _set(node, "value", new)
    elif isinstance(node, ast.Attribute) and node.attr in SWAPPED:
        yield f"{_told(node)} to .{SWAPPED[node.attr]}", _set(node, "attr", SWAPPED[node.attr])
    elif isinstance(node, ast.Name) and node.id in ("min", "max", "any", "all"):
        if isinstance(node.ctx, ast.Load):
            yield f"{node.id} to {SWAPPED[node.id]}", _set(node, "id", SWAPPED[node.id])
    elif isinstance(node, ast.Call):
        for keyword in node.keywords:
            seen = keyword.arg and keyword.arg not in LOOKS | CHECKS
            if seen and isinstance(keyword.value, ast.Constant):
                left = [k for k in node.keywords if k is not keyword]
                yield f"{_told(node)}: without {keyword.arg}", _set(node, "keywords", left)


def _other(value):
    """Another constant of the same kind, or none."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * 2 or 1.0
    return SWAPPED.get(value) if isinstance(value, str) else None


def _is_text(node: ast.AST) -> bool:
    """Whether a sum is one of texts, which would only crash."""
    kinds = ast.JoinedStr | ast.List | ast.Tuple | ast.Dict
    parts = [getattr(node, name, None) for name in ("left", "right", "value")]
    return any(
        isinstance(p, kinds) or (isinstance(p, ast.Constant) and isinstance(p.value, str)) for p in parts
    )


def _set(node: ast.AST, field: str, value) -> Callable[[], None]:
    return lambda: setattr(node, field, value)


def _put(items: list, index: int, value) -> Callable[[], None]:
    return lambda: items.__setitem__(index, value)


def _name(op: ast.AST) -> str:
    return type(op).__name__


def _told(node: ast.AST) -> str:
    return ast.unparse(node).splitlines()[0][:90]
