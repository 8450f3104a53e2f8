"""How much of the paper's protocol to run: profiles, and the runs that each of them asks for."""

from dataclasses import dataclass

from .config import DATASETS, Run, plan
from .errors import one_of, whole

SEEDS_ALLOWED = 10_000  # in one grid


@dataclass(frozen=True)
class Profile:
    """How much of the protocol to run; None means all of it, and as many seeds as the data set plans."""

    epochs: int | None
    n_train: int | None
    batch_sizes: tuple[int, ...] | None
    seeds: int | None


PROFILES: dict[str, Profile] = {
    "smoke": Profile(epochs=1, n_train=256, batch_sizes=(32, 256), seeds=1),  # seconds: does it run at all
    "quick": Profile(epochs=4, n_train=6_000, batch_sizes=(8, 32, 128, 512), seeds=3),  # minutes on a laptop
    "paper": Profile(epochs=None, n_train=None, batch_sizes=None, seeds=None),  # Tables II and VIII in full
}


def grid(
    datasets,
    profile: str = "paper",
    seeds: int | None = None,
    lr_rule: str = "linear",
    precision: str = "fp32",
) -> list[Run]:
    """Every run of a profile over `datasets`: all its batch sizes, seeds 42, 43, ... (`seeds` of them)."""
    one_of("profile", profile, PROFILES)
    p = PROFILES[profile]
    if seeds is not None:
        whole("number of seeds", seeds, 1, SEEDS_ALLOWED)
    runs = []
    for name in datasets:
        one_of("data set", name, DATASETS)
        spec = DATASETS[name]
        count = seeds or p.seeds or spec.seeds
        n = min(p.n_train or spec.n_train, spec.n_train)
        sizes = [b for b in (p.batch_sizes or spec.protocol.batch_sizes) if b <= n]
        runs += [
            plan(name, b, 42 + k, epochs=p.epochs, lr_rule=lr_rule, n_train=n, precision=precision)
            for b in sizes
            for k in range(count)
        ]
    return runs
