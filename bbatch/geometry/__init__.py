"""The geometry of the loss at a network's weights, and the noise of its gradient (Sections IV-E and IV-F).

For any network: `landscape`, `sharpness`, `hessian`, `gradient_noise`, all on the loss as `objective` gives
it. For this paper: `networks` and `one_network` say what is measured of which network, `measuring` and
`drawing` measure what is missing, `measurements` keeps the tables.
"""

from .drawing import draw_missing
from .measurements import measured, rescaling, surfaces
from .measuring import measure_missing

__all__ = ["draw_missing", "measure_missing", "measured", "rescaling", "surfaces"]
