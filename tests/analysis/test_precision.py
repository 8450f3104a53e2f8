"""16-bit beside 32-bit arithmetic, on made-up records."""

from bbatch.analysis import precision
from factories import record


def test_precision_is_compared_only_between_equal_runs():
    pairs = [
        record(seed=s, test_correct=c, precision=p)
        for p, cs in (("fp32", (190, 188)), ("bf16", (191, 187)))
        for s, c in zip((42, 43), cs, strict=True)
    ]
    alone = record(batch_size=64, precision="bf16")
    table = precision.precision_effect([*pairs, alone])
    assert len(table) == 1 and table.loc[0, "n"] == 2 and table.loc[0, "Δ test accuracy"].startswith("+0.00")


def test_a_run_with_another_warm_up_or_rate_is_no_part_of_the_comparison():
    plain = [record("cifar10", 1024, 42, n, precision=p) for p, n in (("fp32", 5600), ("bf16", 5500))]
    warmed = record("cifar10", 1024, 42, 7600, warmup_epochs=5)
    other_rate = record("cifar10", 1024, 42, 1000, base_lr=0.01)
    failed = record("cifar10", 512, 42, 0) | {"history": {}, "final": {}}
    failed["observed"]["failure"] = "out of memory"
    [shown] = precision.precision_effect([*plain, warmed, other_rate, failed])["Δ test accuracy"]
    assert shown == "−1.00"


def test_an_effect_of_precision_that_no_interval_tells_is_a_range():
    """One of three runs collapses in fp32: 100 points of interval would say nothing."""
    correct = {"fp32": (190, 20, 188), "bf16": (189, 187, 191)}
    runs = [
        record(seed=42 + k, test_correct=c, precision=p)
        for p, cs in correct.items()
        for k, c in enumerate(cs)
    ]
    [shown] = precision.precision_effect(runs)["Δ test accuracy"]
    assert shown == "−0.50 to +83.50"


def test_a_row_by_hand():
    """Of 200 test samples and 800 for training; seed 44 was trained in one arithmetic alone."""
    counts = {"fp32": ((190, 784), (188, 776), (100, 400)), "bf16": ((187, 784), (187, 780))}
    runs = [
        record(batch_size=32, seed=42 + k, test_correct=test, clean=train, precision=p)
        for p, cells in counts.items()
        for k, (test, train) in enumerate(cells)
    ]
    other = [record(batch_size=32, test_correct=2, precision=p, lr_rule="sqrt") for p in counts]
    [row] = precision.precision_effect([*runs, *other]).to_dict("records")
    # accuracy −1.5 and −0.5; the gap from 3.0 and 3.0 to 4.5 and 4.0
    effects = {name: row.pop(name).split("\u00a0")[0] for name in ("Δ test accuracy", "Δ gap, clean")}
    assert effects == {"Δ test accuracy": "−1.00", "Δ gap, clean": "+1.25"}
    assert row == {
        "data set": "Synthetic 1K",
        "B": 32,
        "epochs": 50,
        "training samples": 800,
        "fp32 (%)": "94.00 to 95.00",
        "bf16 (%)": "93.50",
        "n": 2,
    }


def test_an_interval_up_to_twenty_points_is_shown():
    def shown(*correct):
        runs = [record(seed=42 + k, test_correct=190, precision="fp32") for k in range(2)]
        runs += [record(seed=42 + k, test_correct=c, precision="bf16") for k, c in enumerate(correct)]
        return precision.precision_effect(runs)["Δ test accuracy"].item().replace("\u00a0", " ")

    assert shown(188, 182) == "−2.50 ± 19.06"  # −1 and −4: 12.706 times half of three
    assert shown(188, 180) == "−5.00 to −1.00"


def test_a_training_is_found_in_the_other_arithmetic():
    lost = record("mnist", 1024, 42, 1135, precision="bf16")
    others = [
        record("mnist", 1024, 42, 9878),
        record("mnist", 1024, 42, 980, warmup_epochs=0),  # not the same training
        record("mnist", 1024, 43, 9880),
        record("cifar10", 512, 42, 6000),  # never run in bf16
    ]
    records = {r["id"]: r for r in [lost, *others]}
    [found] = precision.in_the_other(records, [lost["id"]]).itertuples()
    assert (found.seed, found.precision, found.test_acc, found.id) == (42, "fp32", 98.78, others[0]["id"])
    [back] = precision.in_the_other(records, [others[0]["id"], others[3]["id"]]).itertuples()
    assert (back.precision, back.test_acc) == ("bf16", 11.35)
