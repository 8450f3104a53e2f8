"""Models and data as people write them: what is served trains as a loop written by hand does, the rest is
refused in a sentence, before anything trains."""

import math
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_sequence
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from bbatch.choosing.rows import Rows, own_sampler, pair_of
from bbatch.choosing.task import Task
from bbatch.choosing.training import Training, epoch_seconds, fit
from bbatch.errors import BadInput
from factories import HELD, TRAIN, X, Y, net

SCORE = (X[:, 0] - X[:, 1])[:, None]


class Listed(Dataset):
    """Rows as `form` makes them of features and label."""

    def __init__(self, x, y, form=lambda x, y: (x, int(y))):
        self.x, self.y, self.form = x, y, form

    def __len__(self):
        return len(self.x)

    def __getitem__(self, k):
        return self.form(self.x[k], self.y[k])


def both(form):
    return Listed(*TRAIN, form), Listed(*HELD, form)


@dataclass
class Row:
    x: torch.Tensor
    label: torch.Tensor


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, x, mask=None):
        return self.layer(x if mask is None else x * mask)


class Hugging(nn.Module):
    """As the models of Hugging Face: named inputs, labels among them, an object out."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, input_ids, labels=None):
        logits = self.layer(input_ids)
        return SimpleNamespace(
            loss=None if labels is None else F.cross_entropy(logits, labels), logits=logits
        )


class Whole(Masked):
    def forward(self, batch):
        return super().forward(batch["x"])


class Words(nn.Module):
    """A bag of words with sparse gradients."""

    def __init__(self, sparse=True):
        super().__init__()
        self.words, self.out = nn.EmbeddingBag(10, 4, sparse=sparse), nn.Linear(4, 2)

    def forward(self, x):
        return self.out(self.words(x))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.LSTM(1, 8), nn.Linear(8, 2)

    def forward(self, packed):
        return self.out(self.cell(packed)[1][0][0])


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.out(self.b(self.a(x)))


class Talks(nn.Linear):
    def __init__(self):
        super().__init__(6, 2)
        print("made")


def row(rows):
    return Row(torch.stack([x for x, _ in rows]), torch.tensor([y for _, y in rows]))


def pack(rows):
    """Sequences of 3 to 6 numbers, packed."""
    return pack_sequence(
        [x[: 3 + k % 4, None] for k, (x, _) in enumerate(rows)], enforce_sorted=False
    ), torch.tensor([y for _, y in rows])


def frozen():
    body = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8))
    body(X)
    return lambda: nn.Sequential(body.requires_grad_(False).eval(), nn.Linear(8, 2))


def lazy():
    return nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyBatchNorm1d(), nn.LazyLinear(2))


def scheduled(model, lr, steps):
    made = torch.optim.AdamW(model.parameters(), lr)
    return made, torch.optim.lr_scheduler.OneCycleLR(made, 10 * lr, total_steps=steps)


def by_epoch(parameters, lr):
    made = torch.optim.SGD(parameters, lr)
    return made, torch.optim.lr_scheduler.ExponentialLR(made, 0.9)


def f1(outputs, targets):
    guessed = outputs.argmax(1)
    hits = ((guessed == 1) & (targets == 1)).sum()
    return 2 * hits / ((guessed == 1).sum() + (targets == 1).sum()).clamp_min(1)


WORDS = tuple((part[0].abs().mul(4).long().clamp_max(9), part[1]) for part in (TRAIN, HELD))
PAIR = (TRAIN, HELD)
SERVED = {
    "pairs of tensors": (net, PAIR, {}),
    "an instance": (net(), PAIR, {}),
    "a class": (Masked, PAIR, {}),
    "arrays in double precision": (net, tuple((x.double().numpy(), y.int().numpy()) for x, y in PAIR), {}),
    "a model in double precision": (lambda: net().double(), tuple((x.double(), y) for x, y in PAIR), {}),
    "one pair, a fifth held out": (net, TRAIN, {}),
    "one pair of tables": (net, (pd.DataFrame(TRAIN[0].numpy()), pd.Series(TRAIN[1].numpy())), {}),
    "one pair in double precision": (lambda: net().double(), (TRAIN[0].double(), TRAIN[1]), {}),
    "one data set": (net, Listed(*TRAIN), {}),
    "one loader": (net, DataLoader(Listed(*TRAIN), 7, shuffle=True), {}),
    "tensor data sets": (net, (TensorDataset(*TRAIN), TensorDataset(*HELD)), {}),
    "data sets": (net, both(lambda x, y: (x, int(y))), {}),
    "rows of arrays": (net, both(lambda x, y: (x.double().numpy(), np.int32(y))), {}),
    "a list of rows": (net, ([(x, int(y)) for x, y in zip(*TRAIN, strict=True)], Listed(*HELD)), {}),
    "loaders": (
        net,
        (DataLoader(TensorDataset(*TRAIN), 9, shuffle=True), DataLoader(TensorDataset(*HELD))),
        {},
    ),
    "samplers over one data set": (
        net,
        tuple(
            DataLoader(TensorDataset(X, Y), 8, sampler=SubsetRandomSampler(r))
            for r in (range(300), range(300, 400))
        ),
        {},
    ),
    "a weighted sampler": (
        net,
        (DataLoader(TensorDataset(*TRAIN), 8, sampler=WeightedRandomSampler([1.0] * 300, 200)), HELD),
        {},
    ),
    "two inputs": (Masked, both(lambda x, y: ((x, (x > 0).float()), int(y))), {}),
    "two inputs, flat": (Masked, tuple((x, (x > 0).float(), y) for x, y in PAIR), {}),
    "named inputs beside a target": (
        Masked,
        tuple(({"x": x, "mask": (x > 0).float()}, y) for x, y in PAIR),
        {},
    ),
    "dicts with a label": (Masked, both(lambda x, y: {"x": x, "label": int(y)}), {}),
    "dicts that the model takes whole": (Whole, both(lambda x, y: {"x": x, "label": int(y)}), {}),
    "dicts, loss(model, batch)": (
        net,
        both(lambda x, y: {"features": x, "y": int(y)}),
        {"loss": lambda model, batch: F.cross_entropy(model(batch["features"]), batch["y"])},
    ),
    "dataclasses": (Masked, tuple(DataLoader(Listed(*p), 8, collate_fn=row) for p in PAIR), {}),
    "a model with its own loss": (Hugging, tuple({"input_ids": x, "labels": y} for x, y in PAIR), {}),
    "its logits, a loss beside": (
        Hugging,
        tuple({"input_ids": x, "labels": y} for x, y in PAIR),
        {"loss": nn.CrossEntropyLoss(label_smoothing=0.1)},
    ),
    "no targets at all": (
        lambda: nn.Linear(6, 6),
        (X[:300], X[300:]),
        {"loss": lambda model, batch: F.mse_loss(model(batch), batch)},
    ),
    "no targets, data sets": (
        lambda: nn.Linear(6, 6),
        (TensorDataset(X[:300]), TensorDataset(X[300:])),
        {"loss": lambda model, batch: F.mse_loss(model(batch[0]), batch[0])},
    ),
    "regression": (
        lambda: nn.Linear(6, 1),
        ((X[:300], SCORE[:300]), (X[300:], SCORE[300:])),
        {"loss": F.mse_loss},
    ),
    "one output, whole-number targets": (
        lambda: nn.Linear(6, 1),
        PAIR,
        {"loss": lambda o, t: F.binary_cross_entropy_with_logits(o[:, 0], t.float())},
    ),
    "targets that are shares": (net, tuple((x, F.one_hot(y, 2).float()) for x, y in PAIR), {}),
    "a frozen backbone with batch normalization": (frozen(), PAIR, {}),
    "lazy layers": (lazy, PAIR, {}),
    "a lazy instance": (lazy(), PAIR, {}),
    "tied weights": (Tied, PAIR, {}),
    "a model that prints": (Talks, PAIR, {}),
    "sparse gradients, sgd": (Words, WORDS, {"optimizer": "sgd"}),
    "sparse gradients, two optimizers' worth": (
        Words,
        WORDS,
        {"optimizer": lambda model, lr: torch.optim.Adagrad(model.parameters(), lr)},
    ),
    "packed sequences": (Recurrent, tuple(DataLoader(Listed(*p), 8, collate_fn=pack) for p in PAIR), {}),
    "an optimizer by name": (net, PAIR, {"optimizer": "rmsprop"}),
    "an optimizer class": (net, PAIR, {"optimizer": torch.optim.NAdam}),
    "a function of the parameters": (net, PAIR, {"optimizer": lambda p, lr: torch.optim.SGD(p, lr)}),
    "a function of the model, a scheduler by step": (net, PAIR, {"optimizer": scheduled}),
    "a scheduler by epoch": (net, PAIR, {"optimizer": by_epoch}),
    "a metric": (net, PAIR, {"metric": f1}),
    "features that another network made": (
        net,
        tuple((x * torch.ones(6, requires_grad=True), y) for x, y in PAIR),
        {},
    ),
    "a metric of model and batch": (
        net,
        PAIR,
        {"metric": lambda model, batch: (model(batch[0]).argmax(1) == batch[1]).float().mean()},
    ),
    "bf16": (net, PAIR, {"precision": "bf16"}),
    "NaN where model and loss know what to do": (
        lambda: nn.Linear(6, 1),
        tuple(
            (x, torch.where(y[:, None] > 0, s, math.nan))
            for (x, y), s in zip(PAIR, (SCORE[:300], SCORE[300:]), strict=True)
        ),
        {"loss": lambda o, t: (o - t.nan_to_num()).square().mul(~t.isnan()).mean()},
    ),
}


def task_of(model, data, more):
    return Task(model, *pair_of(data), **more)


@pytest.mark.filterwarnings("ignore:Lazy modules", "ignore:Sparse invariant")
@pytest.mark.parametrize("kind", SERVED)
def test_what_people_train_trains(kind, capsys):
    """And the loss falls, the score is a number, the reader's own objects stay as they were."""
    model, data, more = SERVED[kind]
    state = torch.get_rng_state()
    before = (
        None
        if not isinstance(model, nn.Module) or "lazy" in kind
        else [p.clone() for p in model.parameters()]
    )
    task = task_of(model, data, more)
    training = Training(task, 32, 0.01, 0, 8)
    start = training.judge()
    training.advance(8)
    end = training.judge()
    assert end.loss < start.loss and math.isfinite(end.value) and not training.diverged
    assert 0 < epoch_seconds(task, 32) < 60  # goes on beyond the end of a schedule
    assert torch.equal(state, torch.get_rng_state())
    if before:
        assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_keeps_its_collate_function_its_workers_and_the_rows_of_its_sampler(workers):
    seen = []

    def collate(rows):
        seen.append(len(rows))
        return torch.stack([x for x, _ in rows]) + 100, torch.tensor([y for _, y in rows])

    loader = DataLoader(Listed(*TRAIN), 3, sampler=range(50, 90), collate_fn=collate, num_workers=workers)
    rows = Rows(loader, "training")
    batches = list(rows.batches(16, seed=1))
    assert [n for _, n in batches] == [16, 16, 8] and len(rows) == 40
    assert torch.equal(torch.cat([b[0] for b, _ in batches]), TRAIN[0][50:90] + 100)
    assert seen == ([16, 16, 8] if not workers else [])  # the others work elsewhere


class Where(Listed):
    """Rows that say in which process they were made."""

    def __getitem__(self, k):
        return torch.tensor([float(os.getpid())]), 0


def test_workers_stay_from_one_stretch_of_batches_to_the_next():
    rows = Rows(DataLoader(Where(*TRAIN), 8, shuffle=True, num_workers=1), "training")
    first = next(iter(rows.batches(16, seed=1)))[0][0][0, 0]  # dropped after one batch
    again = torch.cat([b[0] for b, _ in rows.batches(50, seed=2)])
    assert len(again) == 300 and set(again.flatten().tolist()) == {first.item()} != {float(os.getpid())}


def test_sixteen_rows_are_enough():
    assert len(Rows((X[:16], Y[:16]), "training")) == 16


def test_rows_come_once_an_epoch_in_an_order_that_the_seed_decides_and_can_be_taken_up_again():
    for source in (TRAIN, Listed(*TRAIN), DataLoader(Listed(*TRAIN), 5, shuffle=True)):
        rows = Rows(source, "training")
        one, two, other = (torch.cat([b[0] for b, _ in rows.batches(32, seed=s)]) for s in (1, 1, 2))
        assert torch.equal(one, two) and not torch.equal(one, other)
        assert sorted(one.tolist()) == sorted(TRAIN[0].tolist())
        assert torch.equal(torch.cat([b[0] for b, _ in rows.batches(32, seed=1, skip=64)]), one[64:])
        some = torch.cat([b[0] for b, _ in rows.batches(32, most=70)])
        assert len(some) == 70 and torch.equal(some, torch.cat([b[0] for b, _ in rows.batches(10, most=70)]))
        assert not torch.equal(some, TRAIN[0][:70]), "a random part"
        for most in (300, 400):  # all of them are no part
            assert torch.equal(torch.cat([b[0] for b, _ in rows.batches(32, most=most)]), TRAIN[0])
    unshuffled = Rows(DataLoader(TensorDataset(*TRAIN), 5), "training")
    assert torch.equal(torch.cat([b[0] for b, _ in unshuffled.batches(32, seed=1)]), TRAIN[0])


def test_a_list_of_two_is_a_pair_and_a_longer_one_is_rows():
    assert [len(Rows([X, Y], "training")), len(Rows([*zip(X[:20], Y[:20], strict=True)], "training"))] == [
        400,
        20,
    ]
    with pytest.raises(BadInput, match="has 3 rows"):
        Rows([X, Y, Y], "training")
    with pytest.raises(BadInput, match="400 rows of features and 0 targets"):
        Rows((X, torch.tensor(1.0)), "training")
    for source in ((X, Y), Listed(X, Y)):
        few = Rows(source, "training").few()
        assert len(few) == 16 and torch.equal(next(few.batches(20))[0][0], X[:16])


def test_an_array_that_must_not_be_written_to_is_copied():
    fixed = X.numpy().copy()
    fixed.setflags(write=False)
    assert Rows((fixed, Y), "training").tensors[0].data_ptr() != fixed.ctypes.data


def test_a_loader_of_tensors_keeps_its_own_way_to_make_batches_and_to_draw_rows():
    tensors = TensorDataset(*TRAIN)
    own = DataLoader(tensors, 8, collate_fn=lambda rows: torch.stack([x for x, _ in rows]) + 100)
    assert torch.equal(next(Rows(own, "training").batches(16))[0], TRAIN[0][:16] + 100)
    for sampler, is_own in (
        (RandomSampler(tensors), False),
        (RandomSampler(tensors, replacement=True), True),
        (RandomSampler(tensors, num_samples=100), True),
        (SequentialSampler(tensors), False),
        (range(300), True),
    ):
        assert own_sampler(DataLoader(tensors, 8, sampler=sampler)) == is_own


def test_a_sampler_that_draws_some_of_the_rows_draws_among_all_of_them():
    numbered = TensorDataset(torch.arange(300), Y[:300])
    for more, among in (({"num_samples": 40}, 40), ({"replacement": True}, 299)):
        rows = Rows(DataLoader(numbered, 8, sampler=RandomSampler(numbered, **more)), "training")
        drawn = torch.cat([batch[0] for batch, _ in rows.batches(32, seed=1)])
        assert len(drawn) == len(rows) and len(drawn.unique()) <= among and drawn.max() > 200


def test_parts_that_are_no_pair_are_counted():
    for data in ((X, Y[:-1]), (X.numpy(), Y[:-1].numpy())):
        with pytest.raises(BadInput, match=f"parts of {len(X)} and {len(X) - 1} rows; features and targets"):
            pair_of(data)
    for empty in ((), []):
        with pytest.raises(BadInput, match="the data is empty"):
            pair_of(empty)
    alone = pair_of((X, X[:40]))  # features alone, for training and validation
    assert [len(part) for part in alone] == [len(X), 40]
    with pytest.raises(BadInput, match="has 14 rows; at least 16 are needed, and 80 where a fifth"):
        Rows((X[:14], Y[:14]), "training")


def test_numbers_and_several_labels_a_row_are_no_probabilities():
    def three():
        return nn.Linear(X.shape[1], 3)

    numbers, several = X[:, :3].clone(), (X[:, :3] > 0).float()
    for targets in (numbers, several):
        pairs = (X[:300], targets[:300]), (X[300:], targets[300:])
        with pytest.raises(BadInput, match="no probabilities of classes .* give a loss, such as mse_loss"):
            Task(three, *pairs)
        Task(three, *pairs, F.mse_loss)
    shares = several + 0.1
    shares /= shares.sum(1, keepdim=True)
    Task(three, (X[:300], shares[:300]), (X[300:], shares[300:]))


def test_a_fifth_is_held_out_of_one_source_and_none_of_it_is_in_both():
    train, held = pair_of(TRAIN)
    assert len(held[0]) == 60 and sorted([*train[0].tolist(), *held[0].tolist()]) == sorted(TRAIN[0].tolist())
    subsets = pair_of(Listed(*TRAIN))
    assert all(isinstance(s, Subset) for s in subsets) and not set(subsets[0].indices) & set(
        subsets[1].indices
    )
    assert pair_of([TRAIN, HELD]) == (TRAIN, HELD)
    mixed = X, Listed(X, Y)  # as long as each other, but no table of targets
    assert pair_of(mixed) == mixed


def test_each_training_begins_with_the_weights_that_it_was_given_or_made_with():
    model = net()
    task = Task(model, TRAIN, HELD)
    fit(task, 32, 0.1, 1)
    assert all(torch.equal(a, b) for a, b in zip(task.model(1).parameters(), model.parameters(), strict=True))
    assert any("weights that the model has" in note for note in task.notes)
    made = Task(net, TRAIN, HELD)
    one, two, other = (torch.cat([p.flatten() for p in made.model(s).parameters()]) for s in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other) and not made.notes
    normalized = Task(lambda: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 2)), TRAIN, HELD)
    assert len(normalized.notes) == 1 and "update_bn" in normalized.notes[0]
    shared = nn.Linear(6, 6)
    task = Task(lambda: nn.Sequential(shared, nn.Linear(6, 2)), TRAIN, HELD)
    before = shared.weight.clone()
    fit(task, 32, 0.1, 1)
    assert torch.equal(shared.weight, before)


def test_what_stands_in_eval_mode_inside_a_model_stays_there_and_a_model_from_a_file_trains():
    task = Task(frozen(), TRAIN, HELD)
    training = Training(task, 32, 0.1, 0, 2)
    averages = training.model[0][1].running_mean.clone()
    training.judge()
    training.advance(2)
    assert torch.equal(training.model[0][1].running_mean, averages) and training.model[1].training
    assert task.smallest == 1 and Task(net().eval(), TRAIN, HELD).model(0)[2].training
    assert Task(lambda: nn.Sequential(nn.Linear(6, 2), nn.BatchNorm1d(2)), TRAIN, HELD).smallest == 2


@pytest.mark.parametrize(
    "model, data, more, unit",
    [
        (net, PAIR, {}, "% accuracy"),
        (Hugging, tuple({"input_ids": x, "labels": y} for x, y in PAIR), {}, "% accuracy"),
        (lambda: nn.Linear(6, 1), PAIR, {"loss": lambda o, t: F.mse_loss(o[:, 0], t.float())}, "loss"),
        (
            lambda: nn.Linear(6, 1),
            ((X[:300], SCORE[:300]), (X[300:], SCORE[300:])),
            {"loss": F.mse_loss},
            "loss",
        ),
        (net, tuple((x, y.float()) for x, y in PAIR), {"loss": lambda o, t: F.mse_loss(o[:, 0], t)}, "loss"),
        (net, tuple((x, y[:, None]) for x, y in PAIR), {"loss": lambda o, t: o.square().mean()}, "loss"),
        (net, PAIR, {"loss": lambda model, batch: F.cross_entropy(model(batch[0]), batch[1])}, "loss"),
        (net, PAIR, {"metric": f1}, "f1"),
        (net, PAIR, {"metric": lambda o, t: f1(o, t)}, "metric"),
    ],
)
def test_what_decides_is_the_metric_the_accuracy_of_two_classes_or_more_or_the_loss(model, data, more, unit):
    assert task_of(model, data, more).unit == unit


def test_the_default_rate_is_the_papers_or_pytorchs():
    rates = [
        Task(net, TRAIN, HELD, optimizer=o).default_rate
        for o in ("adam", "sgd", "rmsprop", torch.optim.Adagrad)
    ]
    assert rates == [0.001, 0.0125, 0.01, 0.01]


def test_an_optimizer_is_made_as_it_was_asked_for():
    """Fused where PyTorch can; a function is given the number of steps where it has a third parameter that
    must be given, and only then is its scheduler stepped at each of them."""

    def of(optimizer, model=net):
        task = Task(net, TRAIN, HELD, optimizer=optimizer)
        return task.optimizer_of(model(), 0.25, 70)

    for name, kind, fused, momentum in (
        ("adam", torch.optim.Adam, True, None), ("adamw", torch.optim.AdamW, True, None),
        ("sgd", torch.optim.SGD, True, 0.9), ("rmsprop", torch.optim.RMSprop, None, 0),
    ):  # fmt: skip
        made, scheduler, each = of(name)
        group = made.param_groups[0]
        assert type(made) is kind and scheduler is None and each is False and group["lr"] == 0.25
        assert group.get("fused") is fused and group.get("momentum") == momentum
    assert not of("adam", Words)[0].param_groups[0]["fused"], "sparse gradients"
    frozen_half = of("sgd", lambda: nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 1)))
    assert [tuple(p.shape) for p in frozen_half[0].param_groups[0]["params"]] == [(1, 2), (1,)]
    frozen_half = of(torch.optim.SGD, lambda: nn.Sequential(nn.Linear(2, 2).requires_grad_(False), net()))
    assert len(frozen_half[0].param_groups[0]["params"]) == len(list(net().parameters()))

    made, scheduler, each = of(scheduled)
    assert each is True and scheduler.total_steps == 70
    assert of(by_epoch)[1] is not None and of(by_epoch)[2] is False
    usual = of(lambda parameters, lr, momentum=0.5: torch.optim.SGD(parameters, lr, momentum))
    assert usual[0].param_groups[0]["momentum"] == 0.5 and usual[1:] == (None, False)
    named = of(lambda parameters, lr, *, momentum=0.5: torch.optim.SGD(parameters, lr, momentum))
    assert named[2] is False


def test_bf16_is_what_the_outputs_have():
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        task = Task(net, TRAIN, HELD, precision=precision)
        assert task.run(task.model(0), task.train.first_batch()).scores.dtype == dtype


def test_labels_that_the_loss_ignores_and_a_loss_that_one_row_makes_infinite_are_served():
    for label, loss in ((-100, None), (-100, F.cross_entropy), (7, nn.CrossEntropyLoss(ignore_index=7))):
        some = torch.where(torch.arange(300) % 3 == 0, label, TRAIN[1])
        Task(net, (TRAIN[0], some), HELD, loss)
    Task(net, TRAIN, HELD, lambda o, t: F.cross_entropy(o, t) * (math.inf if len(t) == 1 else 1))


class Both(nn.Module):
    """Two inputs, of which the sum counts; `y` may be left out."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, x, y=0.0):
        return self.layer(x + y)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(*TRAIN, strict=True))


class Two(nn.Module):
    def forward(self, x):
        return x.sum(), 1


def fails():
    raise KeyError("no such file")


def opens(x, y):
    with open(f"/nowhere/{int(y)}.png"):
        return x, int(y)


def asserts(x, y):
    assert len(x) == 7, "seven features"
    return x, int(y)


NAN, NOT = X.clone(), SCORE.clone()
NAN[3, 2], NAN[7, 1], NOT[5] = math.nan, math.inf, math.nan
WRONG = [
    (dict(train=(X[:0], Y[:0])), "training data has 0 rows; at least 16 are needed"),
    (dict(validation=(X[:3], Y[:3])), "validation data has 3 rows; at least 16"),
    (dict(train=(X[:20], Y[:19])), "20 rows of features and 19 targets"),
    (dict(train={"x": X, "label": Y[:5]}), "differ in their number of rows: x 400, label 5"),
    (dict(train=(NAN, Y)), "training data has NaN or infinite features in 2 of 400 rows"),
    (dict(train=Listed(NAN, Y)), "training data has NaN or infinite features in the first rows"),
    (dict(train=({"x": NAN, "y": X}, Y), model=Both), "NaN or infinite 0.x in 2 of 400 rows"),
    (dict(train=(X, NAN, Y), model=Both), "NaN or infinite 1 in 2 of 400 rows"),
    (
        dict(train=TensorDataset(NAN), validation=TensorDataset(HELD[0]), loss=lambda net, b: net(*b).mean()),
        "NaN or infinite features in 2 of 400 rows",
    ),
    (
        dict(train=NAN, validation=HELD[0], loss=lambda model, batch: model(batch).mean()),
        "NaN or infinite features in 2 of 400 rows",
    ),
    (
        dict(
            train=(X, NOT),
            model=lambda: nn.Linear(6, 1),
            validation=(X[350:].clone(), SCORE[350:].clone()),
            loss=F.mse_loss,
        ),
        "NaN or infinite targets in 1 of 400 rows",
    ),
    (dict(train=TRAIN, validation=TRAIN), "validation data is the training data itself"),
    (dict(train=(loader := DataLoader(Listed(*TRAIN))), validation=loader), "training data itself"),
    (
        dict(train=(X, Y + 1)),
        "training labels run from 1 to 2; the model has 2 outputs, so 0 to 1 are allowed",
    ),
    (dict(validation=(X[350:], Y[350:] - 1)), "validation labels run from -1 to 0"),
    (dict(train=Listed(X, Y + 5)), "training labels run from 5 to 6"),
    (dict(train=(X, Y.float())), "classification needs whole numbers"),
    (dict(train=(X, Y[:, None])), "classification needs whole numbers"),
    (
        dict(
            model=lambda: nn.Embedding(5, 7),
            train=(torch.ones(40, 3).long(), torch.ones(40, 3).long()),
            validation=(torch.zeros(30, 3).long(), torch.ones(30, 3).long()),
        ),
        r"of shape \(16, 3, 7\) and the validation targets of shape \(16, 3\): classes come last",
    ),
    (dict(model=lambda: nn.Linear(6, 1)), "classification needs whole numbers"),
    (
        dict(
            train=(X, SCORE[:, 0]),
            model=lambda: nn.Linear(6, 1),
            loss=F.mse_loss,
            validation=(X[350:], SCORE[350:, 0]),
        ),
        r"outputs are of shape \[16, 1\] and the validation targets of \[16\]",
    ),
    (dict(loss=nn.CrossEntropyLoss(reduction="sum")), "the loss is a sum over the batch"),
    (
        dict(loss=lambda o, t: 1e4 * F.cross_entropy(o, t, reduction="sum")),
        "the loss is a sum over the batch",
    ),
    (dict(loss=nn.CrossEntropyLoss(reduction="none")), "no single number"),
    (dict(train=(X[:, :4], Y)), "model cannot take features of shape"),
    (dict(train="mnist"), "training data is of type str"),
    (dict(train=7), "training data is of type int"),
    (dict(train=None), "training data is of type NoneType"),
    (dict(train=Stream()), "training data is of type Stream, which has no rows to be drawn by number"),
    (dict(train=DataLoader(Stream(), 8)), "training data is of type Stream"),
    (dict(train=DataLoader(Listed(*TRAIN), batch_size=None)), "batch sampler of its own"),
    (
        dict(
            train=DataLoader(
                Listed(*TRAIN),
                batch_sampler=type("Own", (BatchSampler,), {})(SequentialSampler(range(300)), 4, False),
            )
        ),
        "batch sampler of its own",
    ),
    (dict(train=(["a"] * 20, Y[:20])), "holds what no tensor can"),
    (dict(train=Listed(X, Y, lambda x, y: (x, object()))), "does not make batches .TypeError"),
    (dict(train=Listed(X, Y, lambda x, y: (x[: 1 + int(y)], int(y)))), "does not make batches"),
    (dict(train=Listed(X, Y, opens)), "does not make batches .FileNotFoundError: .*No such file"),
    (dict(train=Listed(X, Y, asserts)), "does not make batches .AssertionError: seven features"),
    (dict(train=both(lambda x, y: {"features": x, "label": int(y)})[0]), "fields .*by name"),
    (
        dict(train=both(lambda x, y: ((x, x > 0), int(y)))[0]),
        r"cannot take features of shapes \(16, 6\), \(16, 6\)",
    ),
    (dict(train=(TRAIN[0].to_sparse(), TRAIN[1])), "the training data has a sparse tensor, .*to_dense"),
    (dict(train=(TRAIN[0], 0 * TRAIN[1])), "the training labels are all 0; there is nothing to tell apart"),
    (dict(model=lambda: None), "returns a NoneType"),
    (dict(model=fails), "cannot be made .KeyError"),
    (dict(model=None), "model is of type NoneType"),
    (dict(model=nn.ReLU), "no trainable parameters"),
    (dict(model=net().requires_grad_(False)), "no trainable parameters"),
    (dict(model=lambda: nn.Sequential(nn.Linear(6, 2), Two())), "single number|no tensor|classification"),
    (dict(loss="mse"), "the loss is of type str"),
    (dict(loss=lambda o, t: o.detach().mean()), "does not depend on the model's trainable parameters"),
    (dict(optimizer="lion"), "optimizer 'lion' is unknown; allowed are"),
    (dict(optimizer=torch.optim.Adam(net().parameters())), "the optimizer is of type Adam"),
    (dict(optimizer=3), "the optimizer is of type int"),
    (dict(optimizer=torch.optim.LBFGS), "a training step fails with LBFGS"),
    (dict(optimizer=lambda p, lr: None), "returns a NoneType; it must return an optimizer"),
    (dict(optimizer=lambda p: None), "optimizer cannot be made"),
    (
        dict(
            optimizer=lambda p, lr: (
                (o := torch.optim.SGD(p, lr)),
                torch.optim.lr_scheduler.ReduceLROnPlateau(o),
            )
        ),
        "waits for a score",
    ),
    (
        dict(model=Words, train=WORDS[0], validation=WORDS[1]),
        "give optimizer=.sgd., which takes sparse and dense",
    ),
    (
        dict(model=Words, optimizer="sparseadam", train=WORDS[0], validation=WORDS[1]),
        "give optimizer=.sgd., which takes sparse and dense",
    ),
    (
        dict(model=lambda: nn.Linear(6, 1), loss=nn.BCEWithLogitsLoss())
        | {"train": (TRAIN[0], TRAIN[1].float()), "validation": (HELD[0], HELD[1].float())},
        r"outputs are of shape \[16, 1\] and the validation targets of \[16\], which",
    ),
    (dict(metric=3), "the metric is of type int"),
    (dict(metric=lambda o, t: o.softmax(1)), "metric cannot be computed"),
    (dict(metric=f1, loss=lambda model, batch: model(batch[0]).mean()), "must be a metric.model, batch. too"),
    (dict(device="tpu"), "device 'tpu' cannot be used"),
    (dict(precision="fp8"), "precision 'fp8' is unknown"),
]


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("wrong, said", WRONG, ids=[str(k) for k in range(len(WRONG))])
def test_the_rest_is_refused_in_a_sentence_that_names_it(wrong, said, capsys):
    given = dict(model=net, train=TRAIN, validation=HELD) | wrong
    with pytest.raises(BadInput) as refusal:
        Task(**given)
    text = str(refusal.value)
    assert re.search(said, text) and text.endswith(".") and "\n" not in text and len(text) > 20, text
    assert capsys.readouterr().out == ""


def test_a_refusal_comes_before_pytorch_loads_what_a_step_needs():
    """Which takes seconds: sympy is a part of it."""
    code = (
        "import sys, torch, bbatch\n"
        "x = torch.randn(80, 3)\n"
        "try: bbatch.recommend(lambda: torch.nn.Linear(4, 2), (x, (x[:, 0] > 0).long()), progress=False)\n"
        "except bbatch.errors.BadInput as error: print(error)\n"
        "print('sympy' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.splitlines()
    assert told[0].startswith("the model cannot take features of shape (16, 3)") and told[1] == "False"
    assert Task(net, TRAIN, HELD).loading >= 0


def test_a_refusal_needs_no_training():
    steps = []

    class Noted(torch.optim.SGD):
        def step(self, closure=None):
            steps.append(1)

    with pytest.raises(BadInput):
        Task(net, TRAIN, (X[350:], Y[350:] + 5), optimizer=Noted)
    assert steps == []
