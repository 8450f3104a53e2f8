"""What a drawn figure holds, read back from its artists: points, ends of bars, words of the key, tips."""

import numpy as np

from bbatch.pages import picture


def labelled(axis, label: str):
    """The one line whose label begins so."""
    [found] = [line for line in axis.lines if str(line.get_label()).startswith(label)]
    return found


def points(line) -> list[tuple[float, float]]:
    """The points of a line that are drawn."""
    return [(float(x), float(y)) for x, y in line.get_xydata() if np.isfinite([x, y]).all()]


def ends(bars, direction: str = "y") -> list[tuple[float, float]]:
    """Where the bars of an `errorbar` begin and end along an axis, those that are drawn."""
    found = [s[:, "xy".index(direction)] for lines in bars.lines[2] for s in lines.get_segments() if len(s)]
    return [(float(a), float(b)) for a, b in found if np.isfinite([a, b]).all()]


def band(collection) -> dict[float, tuple[float, float]]:
    """Of a `fill_between`: its lower and upper edge at each x."""
    at = np.concatenate([np.empty((0, 2)), *(path.vertices for path in collection.get_paths())])
    return {float(x): (at[at[:, 0] == x, 1].min(), at[at[:, 0] == x, 1].max()) for x in np.unique(at[:, 0])}


def key(holder) -> list[str]:
    """The words of the key of an axis, or of the keys below all panels of a figure."""
    keys = holder.legends if hasattr(holder, "legends") else [holder.get_legend()]
    return [text.get_text() for legend in keys if legend for text in legend.get_texts()]


def ticks(axis, direction: str = "x") -> dict[float, str]:
    """Where an axis has numbers or names, and which."""
    one = getattr(axis, f"{direction}axis")
    names = [text.get_text() for text in one.get_ticklabels()]
    return dict(zip(map(float, one.get_ticklocs()), names, strict=True))


def tips(figure, panel: int = 0) -> list[tuple[float, float, str, str]]:
    """x, y, text and address of what a reader sees who points at a panel."""
    axis = figure.axes[panel]
    return [(float(x), float(y), text, at) for of, x, y, text, at in picture.notes(figure).tips if of is axis]


def switched(figure) -> list[str]:
    """The lines that a reader may switch off."""
    return list(picture.notes(figure).series)


def scales(axis) -> tuple[str, str]:
    return axis.get_xscale(), axis.get_yscale()


def named(figure, titles: bool = True) -> bool:
    """Whether every panel says what its axes are, and what it shows. Rows with names need no label, nor
    panels beside one with the same scale."""
    panels = [axis for axis in figure.axes if axis.axison and axis.get_label() != "<colorbar>"]
    heads = [axis.get_title(loc="left") for axis in panels]
    rows = [any(text[:1].isalpha() for text in ticks(axis, "y").values()) for axis in panels]
    first = bool(panels) and panels[0].get_ylabel()
    sides = [
        axis.get_xlabel() and (axis.get_ylabel() or row or first)
        for axis, row in zip(panels, rows, strict=True)
    ]
    return bool(panels) and all(sides) and (all(heads) or not titles)
