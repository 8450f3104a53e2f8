"""Batches of every form: what the model is called with, what its loss is; and what is refused in a
sentence."""

from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_sequence

from bbatch.adapter import Adapter, cut, wants_model
from bbatch.errors import BadInput
from bbatch.nests import leaves, mapped, move, tensor_of

X, Y = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 1, 0, 1, 0])
LAYER = nn.Linear(3, 2)


@dataclass
class Fields:
    x: torch.Tensor
    label: torch.Tensor


Pair = namedtuple("Pair", "one two")


def gives(make):
    """A model that notes what it is called with and returns what `make` makes of the scores."""

    class Model(nn.Module):
        def forward(self, *given, **named):
            self.given = (given, named)
            first = next(iter([*given, *named.values()]))
            return make(LAYER(first))

    return Model()


@pytest.mark.parametrize(
    "batch, given, named, targets",
    [
        ((X, Y), (X,), {}, Y),
        ([X, Y], (X,), {}, Y),
        ((X, X > 0, Y), (X, X > 0), {}, Y),
        (((X, X > 0), Y), (X, X > 0), {}, Y),
        (({"x": X, "mask": X > 0}, Y), (), {"x": X, "mask": X > 0}, Y),
        ({"x": X, "label": Y}, (), {"x": X}, Y),
        (Fields(X, Y), (), {"x": X}, Y),
    ],
)
def test_the_model_is_called_with_the_inputs_as_they_are(batch, given, named, targets):
    model = gives(lambda scores: scores)
    result = Adapter(nn.CrossEntropyLoss())(model, batch)
    assert len(model.given[0]) == len(given) and all(
        torch.equal(a, b) for a, b in zip(model.given[0], given, strict=True)
    )
    assert model.given[1].keys() == named.keys()
    assert all(torch.equal(model.given[1][k], named[k]) for k in named)
    assert result.targets is targets and result.loss.item() == pytest.approx(
        F.cross_entropy(LAYER(X), Y).item()
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda s: s,
        lambda s: (s, "state"),
        lambda s: {"logits": s},
        lambda s: SimpleNamespace(logits=s, loss=None),
        lambda s: [s],
    ],
)
def test_a_loss_of_torch_is_given_the_tensor_among_the_outputs_and_one_of_ones_own_all_of_them(make):
    assert torch.equal(tensor_of(make(X)), X)
    for loss in (None, F.cross_entropy, nn.CrossEntropyLoss()):
        assert Adapter(loss)(gives(make), (X, Y)).loss.item() == pytest.approx(
            F.cross_entropy(LAYER(X), Y).item()
        )
    seen = []
    Adapter(lambda outputs, targets: seen.append(outputs) or torch.zeros(()))(gives(make), (X, Y))
    assert type(seen[0]) is type(make(X))


def test_a_model_with_a_loss_of_its_own_gets_its_labels():
    class Own(nn.Module):
        def forward(self, x, labels=None):
            scores = LAYER(x)
            return SimpleNamespace(
                loss=None if labels is None else 3 * F.cross_entropy(scores, labels), logits=scores
            )

    result = Adapter()(Own(), {"x": X, "labels": Y})
    assert result.loss.item() == pytest.approx(3 * F.cross_entropy(LAYER(X), Y).item())
    assert torch.equal(result.scores, LAYER(X)) and result.targets is Y
    assert Adapter()(Own(), (X, Y)).loss.item() == pytest.approx(F.cross_entropy(LAYER(X), Y).item())


def test_the_general_form_is_told_by_the_name_of_its_first_parameter():
    def general(model, batch):
        return model(batch["deep"][0]).square().mean()

    assert wants_model(general) and wants_model(lambda net, b: 0) and not wants_model(lambda o, t: 0)
    assert not wants_model(nn.MSELoss()) and not wants_model(max)
    result = Adapter(general)(LAYER, {"deep": [X]})
    assert result.loss.item() == pytest.approx(LAYER(X).square().mean().item()) and result.outputs is None


def test_a_nest_is_mapped_moved_and_listed_and_nothing_else_changes():
    packed = pack_sequence([X[0], X[1]], enforce_sorted=False)
    nest = {"a": (X, [Y, "word"]), "b": Pair(X, None), "c": Fields(X, Y), "d": packed, "e": 7}
    twice = mapped(lambda t: 2 * t, nest)
    assert torch.equal(twice["a"][1][0], 2 * Y) and twice["a"][1][1] == "word" and twice["e"] == 7
    assert (
        type(twice["b"]) is Pair
        and type(twice["c"]) is Fields
        and torch.equal(twice["d"].data, 2 * packed.data)
    )
    assert [name for name, _ in leaves(nest)] == ["a.0", "a.1.0", "b.0", "c.x", "c.label", "d"]
    assert torch.equal(move(nest, "cpu")["c"].x, X) and cut(X) == (X, None) and cut((X,))[1] is None


REFUSED = [
    (None, LAYER, {"x": X, "y": Y}, "cannot be called with the fields x, y by name .*loss.model, batch"),
    (None, LAYER, ((X, X), Y), r"cannot take features of shapes \(6, 3\), \(6, 3\)"),
    (None, LAYER, (X[:, :2], Y), r"cannot take features of shape \(6, 2\)"),
    (None, LAYER, X, "no targets and the model gives no .loss"),
    (None, gives(lambda s: "text"), (X, Y), "returns a str without a tensor of outputs"),
    (lambda o, t: (o[:, 0] - t) ** 2, LAYER, (X, Y), "no single number"),
    (lambda o, t: 3.0, LAYER, (X, Y), "no single number"),
    (lambda o, t: 1 / 0, LAYER, (X, Y), "loss cannot be computed .ZeroDivisionError"),
    (lambda m, b: m(b[0]).mean(), LAYER, (X, Y), "first parameter's name, model"),
]


@pytest.mark.parametrize("loss, model, batch, said", REFUSED, ids=[str(k) for k in range(len(REFUSED))])
def test_what_does_not_fit_is_refused_in_a_sentence(loss, model, batch, said):
    with pytest.raises(BadInput, match=said) as refusal:
        Adapter(loss)(model, batch)
    assert str(refusal.value).endswith(".") and "\n" not in str(refusal.value)
    with pytest.raises(BadInput, match="the loss is of type str; give a function"):
        Adapter("mse")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("no room"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
    ids=str,
)
def test_running_out_of_memory_is_no_bad_input(error):
    def fails(*given):
        raise error

    for loss, model in ((fails, LAYER), (None, fails)):
        with pytest.raises(type(error)) as passed:
            Adapter(loss)(model, (X, Y))
        assert passed.value is error


@pytest.mark.parametrize("error", [FileNotFoundError("no file.\nor so"), AssertionError(), SystemExit("no")])
def test_whatever_else_a_readers_code_raises_is(error):
    def fails(*given):
        raise error

    first = str(error).split(".")[0] or "no message"
    for loss, model, said in ((fails, LAYER, "the loss cannot"), (None, fails, "the model cannot")):
        with pytest.raises(BadInput, match=rf"{said} .* \({type(error).__name__}: {first}\)[;.]"):
            Adapter(loss)(model, (X, Y))
