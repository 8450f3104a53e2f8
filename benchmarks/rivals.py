"""What the package is measured against: a DataLoader loop, a plain loop on tensors, JAX, and one in C++.

Each is written as its own users would write it, shares nothing with `bbatch.engines.eager` or
`bbatch.engines.compiled`, and includes dropout, shuffling, loss and accuracy. A rival is made once for a run
and then called once for each epoch.
"""

import ctypes
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bbatch import models
from bbatch.config import DATASETS, Run
from bbatch.data import Data

SOURCE = Path(__file__).with_name("epoch.cpp")
FLAGS = ("-O3", "-march=native", "-ffast-math", "-mprefer-vector-width=512", "-w", "-shared", "-fPIC")


def plain_network(dataset: str) -> nn.Sequential:
    """The network as the paper prints it: torch's own dropout, ReLU before pooling, NCHW weights."""

    def conv(a, b):
        return nn.Conv2d(a, b, 3, padding=1), nn.ReLU()

    if dataset == "mnist":
        return nn.Sequential(
            *conv(1, 32),
            *conv(32, 64),
            nn.MaxPool2d(2),
            *conv(64, 128),
            nn.Dropout(0.25),
            nn.Flatten(),
            nn.Linear(128 * 14 * 14, 10),
        )
    if dataset == "cifar10":
        return nn.Sequential(
            *conv(3, 32),
            *conv(32, 64),
            nn.MaxPool2d(2),
            *conv(64, 128),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(128, 10),
        )
    return nn.Sequential(
        nn.Linear(20, 64),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(64, 32),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(32, 2),
    )


class Loop:
    """The ordinary PyTorch loop: zero_grad, forward, backward, step, `.item()` for the metrics.

    `loader`: batches come from a shuffling DataLoader over a TensorDataset, as in the paper; without it they
    are slices of shuffled tensors. Image tensors are normalized beforehand, so that neither pays for
    transforms.
    """

    def __init__(self, run: Run, data: Data, device: str = "cpu", loader: bool = True):
        x, y = data.inputs(data.train_x[: run.n_train]).contiguous(), data.train_y[: run.n_train]
        self.batch, self.x, self.y, self.device = run.batch_size, x, y, torch.device(device)
        self.net = plain_network(run.dataset).to(self.device)
        adam = run.optimizer == "adam"
        self.optimizer = (
            torch.optim.Adam(self.net.parameters(), run.lr)
            if adam
            else torch.optim.SGD(self.net.parameters(), run.lr, run.momentum, weight_decay=run.weight_decay)
        )
        pairs = torch.utils.data.TensorDataset(x, y)
        self.loader = torch.utils.data.DataLoader(pairs, run.batch_size, shuffle=True) if loader else None

    def _batches(self):
        if self.loader:
            yield from self.loader
        else:
            for part in torch.randperm(len(self.y)).split(self.batch):
                yield self.x[part], self.y[part]

    def __call__(self) -> None:
        self.net.train()
        total, correct = 0.0, 0
        for x, y in self._batches():
            x, y = x.to(self.device), y.to(self.device)
            self.optimizer.zero_grad()
            logits = self.net(x)
            loss = nn.functional.cross_entropy(logits, y)
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(y)
            correct += (logits.argmax(1) == y).sum().item()


class Jax:
    """JAX on the synthetic network: `lax.scan` over the steps, `vmap` over `seeds` replicas, one `jit`.

    JAX has no partial batch inside a scan: the last one is dropped. The call returns when the epoch has been
    computed.
    """

    def __init__(self, run: Run, data: Data, seeds: int = 1):
        import jax
        import jax.numpy as jnp

        self.jax, steps, batch, p = jax, run.n_train // run.batch_size, run.batch_size, 0.2
        x, y = (
            jnp.asarray(data.train_x[: run.n_train].numpy()),
            jnp.asarray(data.train_y[: run.n_train].numpy()),
        )

        def logits(w, x, key):
            for w_, b_, k in ((w[0], w[1], 0), (w[2], w[3], 1)):
                x = jax.nn.relu(x @ w_ + b_)
                x = jnp.where(
                    jax.random.bernoulli(jax.random.fold_in(key, k), 1 - p, x.shape), x / (1 - p), 0
                )
            return x @ w[4] + w[5]

        def loss(w, x, y, key):
            z = logits(w, x, key)
            return -jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1).mean(), (z.argmax(1) == y).sum()

        def step(state, now):
            w, m, v, t = state
            (value, right), g = jax.value_and_grad(loss, has_aux=True)(w, x[now[0]], y[now[0]], now[1])
            t, each = t + 1, jax.tree.map
            m, v = (
                each(lambda m, g: 0.9 * m + 0.1 * g, m, g),
                each(lambda v, g: 0.999 * v + 0.001 * g * g, v, g),
            )
            c, d = 1 - 0.9**t, 1 - 0.999**t
            w = each(lambda w, m, v: w - run.lr * (m / c) / (jnp.sqrt(v / d) + 1e-8), w, m, v)
            return (w, m, v, t), (value, right)

        def epoch(state, key):
            order = jax.random.permutation(key, len(y))[: steps * batch].reshape(steps, batch)
            state, (values, right) = jax.lax.scan(step, state, (order, jax.random.split(key, steps)))
            return state, values.mean(), right.sum()

        def weights(seed):
            layers = [m for m in models.build("mlp", seed) if isinstance(m, nn.Linear)]
            return [jnp.asarray(t.detach().numpy()) for m in layers for t in (m.weight.T, m.bias)]

        w = [jnp.stack(ws) for ws in zip(*(weights(s) for s in range(seeds)), strict=True)]
        zero = [jnp.zeros_like(t) for t in w]
        self.state, self.keys = (w, zero, zero, jnp.zeros(seeds)), jax.random.split(jax.random.key(0), seeds)
        self.epoch = jax.jit(jax.vmap(epoch))
        self.steps = steps * seeds  # of one call, over all seeds

    def __call__(self) -> np.ndarray:
        """One epoch of every seed; returns the mean loss of each."""
        self.keys = self.jax.vmap(lambda k: self.jax.random.fold_in(k, 1))(self.keys)
        self.state, losses, _ = self.jax.block_until_ready(self.epoch(self.state, self.keys))
        return np.asarray(losses)


class Compiled:
    """The epoch of `epoch.cpp`, compiled by g++ for this processor; it draws its own, cheap masks."""

    def __init__(self, run: Run, data: Data):
        self.run, self.x, self.y = run, data.train_x.numpy(), data.train_y.numpy()
        layers = [
            m for m in models.build(DATASETS[run.dataset].network, run.seed) if isinstance(m, nn.Linear)
        ]
        parts = [a for m in layers for a in (m.weight.detach().numpy().T.ravel(), m.bias.detach().numpy())]
        parts[4] = layers[2].weight.detach().numpy().ravel()
        self.weights = np.concatenate(parts)
        self.moments, self.rng = np.zeros((2, self.weights.size), np.float32), np.random.default_rng(run.seed)
        self.epochs, self.function = 0, library().epoch
        self.function.restype = ctypes.c_double

    def __call__(self) -> tuple[float, int]:
        """One epoch; returns summed loss and count of right answers."""
        run, correct = self.run, ctypes.c_int64()
        order = self.rng.permutation(run.n_train)
        arrays = (self.weights, self.moments[0], self.moments[1], self.x, self.y, order)
        whole = (run.n_train, run.batch_size, int(self.rng.integers(2**62)), self.epochs * run.steps(0))
        loss = self.function(
            *(ctypes.c_void_p(a.ctypes.data) for a in arrays),
            *map(ctypes.c_int64, whole),
            ctypes.c_double(0.2),
            ctypes.c_double(run.lr),
            ctypes.byref(correct),
        )
        self.epochs += 1
        return loss, correct.value


@lru_cache
def library() -> ctypes.CDLL:
    """`epoch.cpp` compiled into a temporary folder and loaded."""
    out = Path(tempfile.mkdtemp()) / "epoch.so"
    subprocess.run(["g++", *FLAGS, "-o", str(out), str(SOURCE)], check=True)
    loaded = ctypes.CDLL(str(out))
    shutil.rmtree(out.parent)
    return loaded
