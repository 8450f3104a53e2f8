"""The answers to the claims on test accuracy, in sentences written by hand (see `claim.Question`)."""

from .. import published
from ..analysis import accuracy, critical_batch_size
from ..analysis.cells import by_seed, linear
from ..analysis.estimate import number
from ..config import DATASETS, SYNTHETIC, plan
from ..statistics import LEVEL
from .claim import Evidence
from .on_accuracy import STRONG
from .wording import ends, listed


def smaller(e: Evidence) -> str:
    falls = accuracy.from_end_to_end(e.runs, SYNTHETIC)
    assert all(fall.high < 0 for fall in falls), "the smallest batch is the worst on all three"
    rate = plan("synthetic-1k", 1).lr
    trained = accuracy.level(e.runs, "synthetic-1k", 1, "train_acc")
    at_32 = accuracy.level(e.runs, "synthetic-1k", 32, "train_acc")
    assert trained.high < at_32.low, "it is trained less"
    return (
        "Not on the synthetic sets. From B = 1 to 512 accuracy rises there: by "
        f"{listed((-fall.value for fall in falls), 2)} points on 1K, 10K and 50K. The smallest batch has the "
        f"smallest rate under the paper's own rule ({rate:.5f} at B = 1), and is trained less: it gets "
        f"{trained} % of the training set of 1K right, and B = 32 gets {at_32} %. {_on_images(e, 1024)}"
    )


def how_far(e: Evidence) -> str:
    falls = [accuracy.fall(e.runs, d, 32, 512) for d in SYNTHETIC]
    printed_ = [accuracy.fall(published.printed_frame(), d, 32, 512).value for d in SYNTHETIC]
    most = max(f.high for f in falls)
    assert most < 2 and max(printed_) < 2, (
        "no synthetic set falls by as much as two points, ours or the paper's"
    )
    return (
        "Not on the synthetic sets. From B = 32 to 512 accuracy falls by "
        f"{', '.join(f.text() for f in falls)} points on 1K, 10K and 50K. In the paper's own Table VII the "
        f"falls are {listed(printed_, 2)} points (below zero: a rise). {_on_images(e, 512)}"
    )


def _on_images(e: Evidence, large: int) -> str:
    cifar, mnist = accuracy.fall(e.runs, "cifar10", 32, large), by_seed(e.runs, "mnist", "test_acc")
    if not cifar.n or not {32, large} <= set(mnist):
        return "Some batch sizes of the image sets have no run of ours yet."
    trained, kept, below = accuracy.learning_runs(e.runs, "mnist", large)
    assert below.max() < 0.5 and cifar.value > 20, "little, where it learns; much"
    lost, least = len(trained) - len(kept), f"at most {number(below.max())} points below the mean of B = 32"
    first = f"Of {len(trained)} trainings of MNIST at B = {large}, {lost} end at chance; the others {least}."
    if not lost:
        first = f"All {len(trained)} trainings of MNIST at B = {large} end {least}."
    return (
        f"{first} On CIFAR-10 accuracy falls by {number(cifar.value, 0)} points on average from B = 32 to "
        f"{large} (what a warm-up changes there: see its question)."
    )


def where(e: Evidence) -> str:
    [small] = accuracy.excess(e.runs, [("synthetic-1k", "synthetic-50k")], 8, 512)
    one, fifty = (accuracy.fall(e.runs, d, 8, 512) for d in ("synthetic-1k", "synthetic-50k"))
    assert small.high < 0 and one.value < 0 < fifty.value, (
        "the smallest set does not fall at all, the largest does"
    )
    images = accuracy.fall(e.runs, "cifar10", 8, 512)
    assert images.value > 10, "more than any other"
    return (
        f"By size no: from B = 8 to 512 accuracy rises on the smallest set ({number(-one.value)} points) and "
        f"falls a little on the largest ({fifty} points). By complexity yes, as far as one data set tells: "
        f"it falls most on CIFAR-10, which has as many samples, by {number(images.value, 0)} points on "
        "average."
    )


def values(e: Evidence) -> str:
    inside, cells = accuracy.cells_inside(e.runs, SYNTHETIC, ["test_acc", "train_acc_running"])
    images, told = accuracy.cells_inside(e.runs, ["mnist", "cifar10"], ["test_acc"])
    clean, gaps = accuracy.cells_inside(e.runs, SYNTHETIC, ["gap"])
    assert inside >= 0.9 * cells and clean < gaps / 2, (
        "nearly all are inside; few gaps under the other reading"
    )
    assert told / 2 < images < told, "most of the images', not all"
    text = published.value("iv-a-1k-b8"), accuracy.level(e.runs, "synthetic-1k", 8)
    assert text[0] < text[1].interval(one_run=True)[0], "the text's number is too low"
    return (
        f"Those of Table VII are: {inside} of its {cells} accuracies, of training and of testing, lie in "
        f"the {100 * LEVEL:g} % interval of one more run of ours, and {LEVEL * cells:.0f} would be expected "
        f"to. Of Tables III and IV, {images} of the {told} test accuracies that we can check do. Training "
        f"accuracy is the running one there: with the clean one, {clean} of {gaps} gaps of Table VII do. The "
        f"accuracies that Section IV-A writes for the same runs are not: it says {number(text[0], 1)} % for "
        f"1K at B = 8, and we find {text[1]} %. Nor are those of Table V: see the question on the learning "
        "rate."
    )


def best(e: Evidence) -> str:
    among = {d: critical_batch_size.outcomes(e.runs, d, "optimal").among for d in (*SYNTHETIC, "mnist")}
    assert all(len(a) > 1 for d, a in among.items() if d != "synthetic-10k"), "no optimum is pinned down"
    assert all(any(32 <= b <= 64 for b in a) for a in among.values()), "one of the two may be the best"
    told = "; ".join(f"{DATASETS[d].title}: {listed(a)}" for d, a in among.items())
    return (
        "They may be, with others. Accuracy is so flat around its peak that several batch sizes are likely "
        f"to be the best: {told}."
    )


def mnist_end(e: Evidence) -> str:
    trained, kept, _ = accuracy.learning_runs(e.runs, "mnist", 1024)
    lost = trained.drop(kept.index)
    assert len(lost) == 1 and kept["gap_running"].min() > 0 and kept["gap"].min() > 0, (
        "a single one; no other"
    )
    runs = linear(e.runs, "mnist")
    fits = runs.loc[runs["batch_size"] == 32, "train_acc"].mean() - kept["train_acc"]
    assert 0 < fits.min() and fits.max() < 0.5, "less, but little"
    return (
        f"Not where it learns. Of {len(trained)} trainings at B = 1024, {len(kept)} learn. Their gap is "
        f"{ends(kept['gap_running'])} points with the running training accuracy and "
        f"{ends(kept['gap'])} with the clean one, where the paper prints "
        f"{number(published.results('mnist')['gap'].iloc[-1])}. They do fit a little less: their clean "
        f"training accuracy is {ends(fits)} points below the mean of B = 32. The other training ends at "
        f"chance, with a running gap of {number(lost['gap_running'].iloc[0])}."
    )


def degrades(e: Evidence) -> str:
    found = by_seed(e.runs, "cifar10", "test_acc")
    if not {64, 256, 512, 1024} <= set(found):
        return "Some of these batch sizes have no run of ours yet."
    small, large = found[64], found[[256, 512, 1024]]
    apart = small.min() - large.max().max()
    assert apart > STRONG, "each training lies that far below each at B = 64"
    return (
        f"It seems so, under its rule. Each of our {large.count().sum()} trainings at B = 256, 512 and 1024 "
        f"ends {number(apart, 1)} points or more below each of the {small.count()} at B = 64; strong is more "
        f"than the {STRONG:g} points that Section VII calls degradation. It comes from the rate more than "
        "from the batch: see the question on warm-up."
    )


def chance(e: Evidence) -> str:
    ours = {b: accuracy.share_at_most(e.runs, "cifar10", b, 10) for b in (256, 512, 1024)}
    if not ours[1024].n:
        return "No run of ours at this batch size yet."
    level = accuracy.level(e.runs, "cifar10", 1024)
    collapsed = [b for b, share in ours.items() if share.value > 0]
    assert collapsed and 1024 not in collapsed, "not there, but at others"
    return (
        f"Ours do not: at B = 1024 they end at {number(level.value)} % on average (seeds: {level.n}), the "
        f"paper at {number(published.results('cifar10')['test_acc'].iloc[-1])}. But at B = "
        f"{listed(collapsed)} some of ours do end at chance. Whether a training collapses hangs on its seed."
    )
