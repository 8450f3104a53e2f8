"""Experiments beside the paper's own, which tell the effect of the batch from those of rate and steps.

A study is a list of trials. `python -m bbatch.studies NAME` trains those that are not in its table yet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from . import batch_and_rate, data_size, equal_steps, remedies, warm_up
from .trial import Trial


@dataclass(frozen=True)
class Study:
    """`title`: what is run, in one line. `trials(precision)`: the list, in the order of training."""

    title: str
    trials: Callable[[str], list[Trial]]


STUDIES: dict[str, Study] = {
    **{
        f"map-{name}": Study(
            f"Map of batch size and learning rate, {name}", partial(batch_and_rate.map_trials, name)
        )
        for name in batch_and_rate.MAPS
    },
    "equal-steps": Study("As many steps as B = 32 makes, three rules", equal_steps.equal_steps_trials),
    "equal-steps-tuned": Study(
        "The same at the largest batches, rate tuned", equal_steps.equal_steps_tuned_trials
    ),
    "data-size": Study(
        "One generator problem at four sizes, five problems by five seeds", data_size.data_size_trials
    ),
    "warm-up": Study("Five epochs of warm-up on the synthetic sets, on and off", warm_up.warm_up_trials),
    **{
        f"{kind}-{name}": Study(f"{title}, {name}", partial(remedies.study_trials, arms, name))
        for kind, title, arms in (
            ("remedies", "What closes the gap of a large batch", remedies.remedies_of),
            ("architectures", "Other networks at large batches", remedies.architectures_of),
            ("optimizers", "Other optimizers at small and large batches", remedies.optimizers_of),
        )
        for name in remedies.SETTINGS
        if arms(name)
    },
}
