"""The paper's distinct claims: one statement in abstract, section and conclusions is one of them."""

from . import answers_on_accuracy as of_accuracy
from . import answers_on_geometry as of_geometry
from . import answers_on_training as of_training
from . import on_accuracy as a
from . import on_geometry as g
from . import on_itself as i
from . import on_training as t
from .claim import Question

QUESTIONS = (
    Question("smaller", "Do small batches give better test accuracy?", a.SMALLER, of_accuracy.smaller),
    Question(
        "how-far", "Does accuracy fall by 2 to 6 points from B = 32 to 512?", a.HOW_FAR, of_accuracy.how_far
    ),
    Question("where", "Is the fall larger on small and on complex data sets?", a.WHERE, of_accuracy.where),
    Question(
        "values",
        "Are the accuracies that the paper prints those of its protocol?",
        a.VALUES,
        of_accuracy.values,
    ),
    Question("best", "Are batches of 32 to 64 the best?", a.BEST, of_accuracy.best),
    Question("mnist-end", "Does MNIST underfit at the largest batch size?", a.MNIST, of_accuracy.mnist_end),
    Question("degrades", "Does CIFAR-10 degrade strongly from B = 256 on?", a.DEGRADES, of_accuracy.degrades),
    Question("chance", "Does CIFAR-10 end near chance at B = 1024?", a.CHANCE, of_accuracy.chance),
    Question("gap", "Does the generalization gap grow with the batch size?", t.GAP, of_training.gap_grows),
    Question(
        "epoch-time",
        "Do large batches make an epoch 10 to 50 times shorter?",
        t.EPOCH_TIME,
        of_training.epoch_time,
    ),
    Question("epochs", "Do large batches need 1.5 to 2 times more epochs?", t.EPOCHS, of_training.epochs),
    Question("wall-clock", "Is what is left a gain of 2 to 5 times?", t.WALL_CLOCK, of_training.time_left),
    Question("scaling", "Must the learning rate be scaled with the batch?", t.SCALING, of_training.scaling),
    Question("warm-up", "Is a warm-up needed from B = 256 on?", t.WARMUP, of_training.warm_up),
    Question("sharpness", "Do large batches end in sharper minima?", g.SHARPNESS, of_geometry.sharper_minima),
    Question(
        "variance", "Does the variance of the gradient fall as 1/B?", g.VARIANCE, of_geometry.variance_law
    ),
    Question(
        "mechanism", "Is gradient noise what links batch size to minima?", g.MECHANISM, of_geometry.mechanism
    ),
    Question("free", "Does its regularization cost nothing?", t.FREE, of_training.free),
    Question(
        "critical",
        "Does the critical batch size grow as the root of N?",
        g.CRITICAL,
        of_geometry.grows_as_root,
    ),
    Question("algorithm", "Does Algorithm 2 choose well?", g.ALGORITHM, of_geometry.algorithm),
    Question("itself", "Is the paper right about itself?", i.ITSELF, of_geometry.itself),
    Question("others", "What does it report of others?", i.OTHERS, of_geometry.others),
)
