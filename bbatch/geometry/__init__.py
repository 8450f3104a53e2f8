"""The geometry of the loss at a network's weights, and the noise of its gradient (Sections IV-E and IV-F).

For any network: `landscape`, `sharpness`, `hessian`, `noise`, all on the loss as `flat` gives it. For this paper: `trained`
and `probe` say what is measured of which network, `measurements` keeps the tables, `minima` and `noise_findings` read them,
`relief` and `noise_figures` draw them, `inventory` says what they rest on.
"""

from .measurements import (
    COLUMNS,
    LITERAL,
    MEASURES,
    REFERENCE,
    RUN_COLUMNS,
    draw,
    measure,
    measured,
    rescaling,
    surfaces,
)

__all__ = [
    "COLUMNS",
    "LITERAL",
    "MEASURES",
    "REFERENCE",
    "RUN_COLUMNS",
    "draw",
    "measure",
    "measured",
    "rescaling",
    "surfaces",
]
