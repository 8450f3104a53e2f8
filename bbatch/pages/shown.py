"""What a cell of a notebook shows beside figures: HTML for a page, and the same as text for a terminal, for
JupyterLab without HTML, and for nbval to compare."""

import math
import re

from IPython.display import HTML, Markdown

SHORT = 26  # characters that a cell of a table keeps on one line: "×1.08 (1.06 to 1.09)" and its like
FIVE_DIGITS = 10_000  # commas from here on: 1024 is a batch size as the paper writes it
PROSE = 40  # characters from which a cell is read as a sentence, from the left
WIDE = 70  # letters of a table's widest cells, side by side, from which it takes the margin too


def three_digits(value: float) -> str:
    """Three digits or more, zeros at the end included: "0.500", "2.91", "110", "267,900"; "–" for NaN."""
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}"


class Words(Markdown):
    """Paragraphs; as text, their words: what a committed output holds and nbval compares."""

    def __repr__(self) -> str:
        return self.data


class Table(HTML):
    """A table as HTML, and the same rows as text for where there is no browser, and for nbval to compare."""

    def __init__(self, html: str, text: str):
        super().__init__(html)
        self.text = text

    def __repr__(self) -> str:
        return self.text


def cell_text(value):
    if isinstance(value, str) and (len(value) <= SHORT or not any(map(str.isalpha, value))):
        # "CIFAR-10" and "mlp-batch-norm" stay in one piece.
        return re.sub(r"-(?=\w)", "-\N{WORD JOINER}", value.replace(" ", "\N{NO-BREAK SPACE}"))
    return grouped(value) if isinstance(value, int) and value >= FIVE_DIGITS else value


def grouped(whole: float, _position: int = 0) -> str:
    """A whole number as text, its thousands set apart by commas from five digits on. Serves as a formatter of
    an axis."""
    return f"{whole:,.0f}" if whole >= FIVE_DIGITS else f"{whole:.0f}"
