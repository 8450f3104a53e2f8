"""The paper's distinct claims: the same statement in abstract, introduction, section and conclusions is one
of them."""

from __future__ import annotations

from . import answers
from . import on_accuracy as a
from . import on_geometry as g
from . import on_training as t
from .claim import Question

QUESTIONS = (
    Question(
        "smaller", "Do small batches give better test accuracy?", a.SMALLER, "iv-a-monotone", answers.smaller
    ),
    Question(
        "how-far",
        "Does accuracy fall by 2 to 6 points from B = 32 to 512?",
        a.HOW_FAR,
        "vii-drop",
        answers.how_far,
    ),
    Question(
        "where",
        "Is the fall larger on small and on complex data sets?",
        a.WHERE,
        "vii-drop-where",
        answers.where,
    ),
    Question(
        "values",
        "Are the accuracies that the paper prints those of its protocol?",
        a.VALUES,
        "iv-a-mnist-best",
        answers.values,
    ),
    Question("best", "Are batches of 32 to 64 the best?", a.BEST, "iv-a-synthetic-sweet-spot", answers.best),
    Question(
        "mnist-end",
        "Does MNIST underfit at the largest batch size?",
        a.MNIST,
        "iv-a-mnist-underfits",
        answers.mnist_end,
    ),
    Question(
        "degrades",
        "Does CIFAR-10 degrade strongly from B = 256 on?",
        a.DEGRADES,
        "iv-a-cifar10-collapse",
        answers.degrades,
    ),
    Question(
        "chance",
        "Does CIFAR-10 end near chance at B = 1024?",
        a.CHANCE,
        "iv-a-cifar10-random",
        answers.chance,
    ),
    Question(
        "gap",
        "Does the generalization gap grow with the batch size?",
        t.GAP,
        "iv-b-correlation",
        answers.gap_grows,
    ),
    Question(
        "epoch-time",
        "Do large batches make an epoch 10 to 50 times shorter?",
        t.EPOCH_TIME,
        "i-epoch-speedup",
        answers.epoch_time,
    ),
    Question(
        "epochs",
        "Do large batches need 1.5 to 2 times more epochs?",
        t.EPOCHS,
        "iv-c-more-epochs",
        answers.epochs,
    ),
    Question(
        "wall-clock",
        "Is what is left a gain of 2 to 5 times?",
        t.WALL_CLOCK,
        "v-e-wall-clock",
        answers.time_left,
    ),
    Question(
        "scaling",
        "Must the learning rate be scaled with the batch?",
        t.SCALING,
        "iv-d-prerequisite",
        answers.scaling,
    ),
    Question("warm-up", "Do large batches need a warm-up?", t.WARMUP, "ii-c-warmup-from", answers.warm_up),
    Question(
        "sharpness",
        "Do large batches end in sharper minima?",
        g.SHARPNESS,
        "abstract-sharpness-ratio",
        answers.sharpness,
    ),
    Question(
        "variance",
        "Does the variance of the gradient fall as 1/B?",
        g.VARIANCE,
        "iv-f-variance-slope",
        answers.variance_law,
    ),
    Question(
        "mechanism",
        "Is gradient noise what links batch size to minima?",
        g.MECHANISM,
        "v-b-mechanism",
        answers.mechanism,
    ),
    Question("free", "Does its regularization cost nothing?", t.FREE, "v-b-free", answers.free),
    Question(
        "critical",
        "Does the critical batch size grow as the root of N?",
        g.CRITICAL,
        "iv-g-critical-exponent",
        answers.critical,
    ),
    Question("algorithm", "Does Algorithm 2 choose well?", g.ALGORITHM, "vi-algorithm", answers.algorithm),
    Question("itself", "Is the paper right about itself?", g.ITSELF, "vii-orders", answers.itself),
    Question("others", "What does it report of others?", g.OTHERS, "ii-a-sharp-large", answers.others),
)
