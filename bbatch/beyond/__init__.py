"""What experiments beyond the paper need: optimizers, networks, schedules, each added by one entry.

Nothing here is known to the core. `BBATCH_EXTENSIONS=bbatch.beyond` makes the names known to `bbatch` and its
sweeps, as for any reader's additions (see CONTRIBUTING.md); the studies import it themselves.
"""

from ..config import BATCH_SCHEDULES, LR_SCHEDULES
from ..models import NETWORKS
from ..optimizers import OPTIMIZERS
from . import networks, optimizers, schedules
from .lamb import lamb

OPTIMIZERS["adamw"] = optimizers.adamw
OPTIMIZERS["lamb"] = lamb
OPTIMIZERS["muon"] = optimizers.muon
NETWORKS["mlp-batch-norm"] = networks.mlp_batch_norm
NETWORKS["mlp-ghost-norm"] = networks.mlp_ghost_norm
NETWORKS["resnet-8-batch-norm"] = networks.resnet_8_batch_norm
NETWORKS["resnet-8-ghost-norm"] = networks.resnet_8_ghost_norm
NETWORKS["resnet-8-group-norm"] = networks.resnet_8_group_norm
NETWORKS["small-vit"] = networks.SmallViT
BATCH_SCHEDULES["growing"] = schedules.growing
LR_SCHEDULES["decaying"] = schedules.decaying
