"""A figure as an image, for where its drawing is not seen.

JupyterLab takes drawings, scripts and style sheets out of a notebook that it does not trust, such as one that
papermill alone has executed; there the image is seen, else a style sheet hides it.
"""

import base64
import io
import re

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

HIDDEN = "<style>.bbatch-still { display: none }</style>"


def still(figure: Figure, alt: str) -> str:
    """The image of a figure that was drawn, as HTML; `alt` is escaped already."""
    layout = figure.get_layout_engine()
    figure.set_layout_engine("none")  # all lies where it lies in the drawing
    image = png(figure)
    figure.set_layout_engine(layout)
    return f'{HIDDEN}<img class="bbatch-still" alt="{alt}" src="data:image/png;base64,{image}">'


def png(figure: Figure) -> str:
    """A figure as PNG on white, 90 pixels an inch, in base 64: the same text for the same figure."""
    buffer = io.BytesIO()
    figure.set(dpi=90, facecolor="white")
    # not `savefig`, which draws all of it twice
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode()


def without_still(text: str) -> str:
    """The HTML of figures without their images, which a page of the book does not need."""
    return re.sub(re.escape(HIDDEN) + r'<img class="bbatch-still" [^>]*>', "", text)
