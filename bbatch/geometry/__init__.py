"""The geometry of the loss at a network's weights, and the noise of its gradient (Sections IV-E and IV-F).

For any network: `landscape`, `sharpness`, `hessian`, `gradient_noise`, all on the loss as `objective` gives
it. For this paper: `networks` and `one_network` say what is measured of which network, `measuring`,
`drawing` and `encircling` measure what is missing, `completing` calls the three, and `measurements` keeps the
tables.
"""

from .completing import complete
from .measurements import circles, measured, rescaling, surfaces
from .measuring import measure_missing

__all__ = ["circles", "complete", "measure_missing", "measured", "rescaling", "surfaces"]
