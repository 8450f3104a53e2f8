"""A batch that grows, and the decay of the learning rate that it stands for (Smith et al. 2018).

The noise of a step of SGD goes as the learning rate over the batch size, so that a batch four times as large
lowers it as a quarter of the rate does. Both schedules change at half and at three quarters of the training.
"""

FACTOR = 4
CHANGES = (0.5, 0.75)  # parts of the training after which the next factor applies


def _changes_made(epoch: int, epochs: int) -> int:
    """How many changes lie behind epoch `epoch` (0-based) of `epochs`."""
    return sum(epoch >= part * epochs for part in CHANGES)


def growing(batch_size: int, epoch: int, epochs: int) -> int:
    """A sixteenth of the batch size, then a quarter, then all of it: `batch_size` is the largest."""
    return max(1, batch_size // FACTOR ** (len(CHANGES) - _changes_made(epoch, epochs)))


def decaying(epoch: int, epochs: int) -> float:
    """The whole rate, then a quarter, then a sixteenth."""
    return FACTOR ** -float(_changes_made(epoch, epochs))
