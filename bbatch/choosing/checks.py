"""What is checked of a reader's model, data, loss, metric and optimizer, once and before anything trains.

Each of these raises `BadInput` with what was wrong and what would do.
"""

import math
import warnings

import torch
from torch import nn

from ..adapter import Adapter, Result, cut, of_torch, wants_model
from ..errors import BadInput
from ..nests import leaves, move, told
from .rows import LEAST, Rows


def check_batches(task) -> Result:
    """One batch of each kind of rows through the model: what does not fit is named here. Returns what the
    training rows gave."""
    for rows in (task.validation, task.train):
        batch = rows.first_batch()
        model = task.model(0).eval()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of shapes, which are judged here
            _outputs(task, rows, batch, model)
            result = task.run(model, batch)
            _numbers(task, rows, model)
            _shapes(task, rows, model, result)
            _metric(task, result, model, batch)
    return result


def _outputs(task, rows: Rows, batch, model) -> None:
    """Outputs and targets that no loss of PyTorch's own takes together are named, of tensors all, of a data
    set the first."""
    loss = task.adapter.loss
    inputs, targets = cut(batch)
    known = isinstance(inputs, torch.Tensor) if loss is None else of_torch(loss)
    if task.adapter.general or not known or not isinstance(targets, torch.Tensor):
        return
    out = Adapter(lambda outputs, targets: torch.zeros(()))(model, move(batch, task.device)).scores
    if out is None:
        return
    if loss is not None and {tuple(out.shape), tuple(targets.shape)} == {(LEAST, 1), (LEAST,)}:
        _refuse_pairs(rows, out, targets)
    if loss in (None, nn.functional.cross_entropy) and isinstance(inputs, torch.Tensor):
        _classes(task, rows, out, targets)


def _refuse_pairs(rows: Rows, out: torch.Tensor, targets: torch.Tensor) -> None:
    raise BadInput(
        f"the model's outputs are of shape {list(out.shape)} and the {rows.what} targets of "
        f"{list(targets.shape)}, which a loss refuses or spreads to every pair of rows; give both the same "
        "shape, such as targets[:, None]."
    )


def _classes(task, rows: Rows, out: torch.Tensor, targets: torch.Tensor) -> None:
    """Labels that cross-entropy cannot take."""
    whole = cut(rows.tensors)[1] if rows.tensors is not None else targets
    classes = out.shape[1] if out.dim() > 1 else 0
    fits = targets.shape == out.shape if targets.is_floating_point() else targets.dim() == out.dim() - 1
    if classes < 2 or not fits:
        raise BadInput(
            f"the {rows.what} targets are {str(targets.dtype).removeprefix('torch.')} of shape "
            f"{tuple(targets.shape)} and the model's outputs of shape {tuple(out.shape)}; classification "
            "needs whole numbers [n] and outputs [n, classes], anything else a loss."
        )
    if out.shape[:-1] == targets.shape != (len(out), *out.shape[2:]):
        raise BadInput(
            f"the model's outputs are of shape {tuple(out.shape)} and the {rows.what} targets of shape "
            f"{tuple(targets.shape)}: classes come last, where cross-entropy wants them second; give a "
            "loss such as lambda out, y: cross_entropy(out.flatten(0, -2), y.flatten())."
        )
    if targets.is_floating_point() and task.adapter.loss is None:
        sums = whole.sum(1)
        if (whole < 0).any() or not torch.allclose(sums, torch.ones_like(sums), atol=1e-2):
            raise BadInput(
                f"the {rows.what} targets have the shape of the outputs and are no probabilities of classes "
                "(at least 0, in all 1 a row); give a loss, such as mse_loss for numbers or "
                "binary_cross_entropy_with_logits for several labels a row."
            )
    if not targets.is_floating_point():
        ignored = getattr(task.adapter.loss, "ignore_index", -100)
        known = whole[whole != ignored]
        if len(known) and (known.min() < 0 or known.max() >= classes):
            raise BadInput(
                f"the {rows.what} labels run from {known.min()} to {known.max()}; the model has "
                f"{classes} outputs, so 0 to {classes - 1} are allowed."
            )
        if rows is task.train and rows.tensors is not None and len(known) and known.min() == known.max():
            raise BadInput(f"the training labels are all {known[0]}; there is nothing to tell apart.")


def _numbers(task, rows: Rows, model) -> None:
    """NaN and infinity in features or targets are refused where they make the loss one: a model or a loss
    may know what to do with them."""
    if rows.tensors is None:
        batch, where = rows.first_batch(), "the first rows"
        found = [name for name, t in leaves(batch) if not torch.isfinite(t).all()]
    else:
        bad, found = torch.zeros(len(rows), dtype=torch.bool), []
        for name, t in leaves(rows.tensors):
            fine = torch.isfinite(t.reshape(len(t), -1)).all(1).cpu()
            if not fine.all():
                bad |= ~fine
                found.append(name)
        batch, where = rows.take(bad.nonzero().flatten()[:LEAST]), f"{int(bad.sum())} of {len(rows)} rows"
    if found and not math.isfinite(task.run(model, batch).loss.item()):
        names = {"": "features"}
        if isinstance(batch, (tuple, list)):
            names = {"0": "features"} if len(batch) <= 2 else {}
            names |= {str(len(batch) - 1): "targets"} if len(batch) > 1 else {}
        words = " and ".join(names.get(name, name) for name in found)
        raise BadInput(
            f"the {rows.what} data has NaN or infinite {words} in {where}, and the loss of those is no "
            "number; fill or drop them first."
        )


def _shapes(task, rows: Rows, model, result: Result) -> None:
    """Outputs [n, 1] against targets [n] spread into [n, n] without an error; a sum over the batch grows
    with it. Both show where the loss of a batch is not the mean over its rows."""
    if task.adapter.general or not isinstance(result.targets, torch.Tensor) or result.scores is None:
        return
    out, targets, n = tuple(result.scores.shape), tuple(result.targets.shape), 4
    try:
        each = [task.run(model, rows.take(torch.tensor([k]))).loss.item() for k in range(n)]
    except BadInput:  # a model may need more than one row
        return
    mean, whole = sum(each) / n, task.run(model, rows.take(torch.arange(n))).loss.item()
    if not (math.isfinite(whole) and math.isfinite(mean)) or abs(whole - mean) <= 1e-3 * max(abs(mean), 1e-6):
        return
    if {out, targets} == {(LEAST, 1), (LEAST,)}:
        _refuse_pairs(rows, result.scores, result.targets)
    if abs(whole / n - mean) <= 1e-3 * abs(mean):
        raise BadInput(
            "the loss is a sum over the batch; it must return the mean, or no rate fits two batch sizes."
        )


def _metric(task, result: Result, model, batch) -> None:
    if task.metric is None:
        return
    if task.adapter.general and not wants_model(task.metric):
        raise BadInput("a metric beside a loss(model, batch) must be a metric(model, batch) too.")
    task.measured(model, batch, result)


def load_torch() -> None:
    """Make PyTorch load what it loads at the first step of a process: seconds, more on a busy machine."""
    weight = torch.zeros(1, requires_grad=True)
    weight.sum().backward()
    torch.optim.Adam([weight]).step()


def check_step(task) -> None:
    """One training step at a rate of almost nothing: gradients that an optimizer cannot take show here."""
    model = task.model(0)
    hint = "give a name, a class, or a function of (parameters, lr) or (model, lr)"
    with told("the optimizer cannot be made", hint):
        optimizer, *_ = task.optimizer_of(model, 1e-9)
    if not hasattr(optimizer, "step") or not hasattr(optimizer, "param_groups"):
        raise BadInput(
            f"the optimizer function returns a {type(optimizer).__name__}; it must return an optimizer."
        )
    loss = task.run(model, task.train.first_batch()).loss
    if not loss.requires_grad:
        raise BadInput(
            "the loss does not depend on the model's trainable parameters; there is nothing to train."
        )
    with told("the gradients of the loss cannot be computed"):
        loss.backward()
    if all(p.grad is None for group in optimizer.param_groups for p in group["params"]):
        raise BadInput("the optimizer holds none of the parameters that the loss depends on.")
    hint = "give optimizer='sgd', which takes sparse and dense gradients"
    with told(f"a training step fails with {type(optimizer).__name__}", hint):
        optimizer.step()
    if isinstance(task.source, nn.Module):
        task.notes.append("Every training starts from the weights that the model has.")
    if task.smallest > 1:
        task.notes.append(
            "Batch normalization is judged with the averages that training leaves; at a large batch it may "
            "do better with averages estimated anew (`torch.optim.swa_utils.update_bn`)."
        )
