"""An epoch of the synthetic network in one compiled loop (numba): `epoch_of_adam`.

At batch size 1 the arithmetic of a step takes about two microseconds and a framework's overhead hundreds.
Here the loop over steps itself is compiled: gather, forward, backward and Adam with no Python and no
allocation between steps.

Shapes below: n samples in the epoch, batch size B, layer widths D -> H1 -> H2 -> C. Weights are stored [in,
out], so that the innermost loops run along contiguous output units.
"""

import math
from typing import Any

import numpy as np
from numba import njit

BLAS_FROM = 4  # rows from which a matrix product through BLAS beats a compiled loop (measured on x86)
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # torch.optim.Adam's defaults

# Sums may be reordered and fused so that they vectorize; NaN and infinity keep their meaning (divergence).
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz"}}
# The parts are inlined, so that one function is compiled, as a whole. Compiled and cached one by one they are
# put together, and so rounded, differently in the process that compiles them and in those that find them in
# the cache.
_part = njit(inline="always", **_OPTIONS)


@_part
def _product(x, w, out):
    """out = x @ w for x [B, I], w [I, O]."""
    if len(x) >= BLAS_FROM:
        np.dot(x, w, out)
        return
    for b in range(x.shape[0]):
        out[b, :] = 0
        for i in range(x.shape[1]):
            v = x[b, i]
            for o in range(w.shape[1]):
                out[b, o] += v * w[i, o]


@_part
def _weight_gradient(x, g, dw, db):
    """dw = x^T @ g and db = column sums of g, for x [B, I], g [B, O]."""
    db[:] = 0
    for b in range(g.shape[0]):
        for o in range(g.shape[1]):
            db[o] += g[b, o]
    if len(x) >= BLAS_FROM:
        np.dot(x.T, g, dw)
        return
    for i in range(x.shape[1]):
        for o in range(g.shape[1]):
            dw[i, o] = x[0, i] * g[0, o]
        for b in range(1, x.shape[0]):
            v = x[b, i]
            for o in range(g.shape[1]):
                dw[i, o] += v * g[b, o]


@_part
def _input_gradient(g, w, out):
    """out = g @ w^T for g [B, O], w [I, O]."""
    if len(g) >= BLAS_FROM:
        np.dot(g, w.T, out)
        return
    for b in range(g.shape[0]):
        for i in range(w.shape[0]):
            total = np.float32(0)
            for o in range(w.shape[1]):
                total += g[b, o] * w[i, o]
            out[b, i] = total


@_part
def _bias_relu_dropout(a, bias, bits, offset, threshold, scale):
    """a <- dropout(relu(a + bias)) in place; `bits` holds all layers' masks, this one's from `offset`."""
    for b in range(a.shape[0]):
        for o in range(a.shape[1]):
            v = a[b, o] + bias[o]
            keep = (v > 0) & (bits[b, offset + o] >= threshold)
            # a NaN must travel on, or a diverged run would look healthy
            a[b, o] = v * scale if keep or v != v else np.float32(0)


@_part
def _through_relu_dropout(g, a, scale):
    """g <- gradient before relu and dropout, in place: what was dropped or negative is exactly 0 in `a`."""
    for b in range(g.shape[0]):
        for o in range(g.shape[1]):
            g[b, o] = g[b, o] * scale if a[b, o] != 0 else np.float32(0)


@_part
def _softmax_loss(logits, bias, y, batch, g):
    """Fill `g` with d(mean cross-entropy)/d(logits); return summed loss and count of right answers."""
    loss, correct = 0.0, 0
    for b in range(logits.shape[0]):
        best = 0
        for c in range(logits.shape[1]):
            logits[b, c] += bias[c]
            if logits[b, c] > logits[b, best]:
                best = c
        total = np.float32(0)
        for c in range(logits.shape[1]):
            g[b, c] = math.exp(logits[b, c] - logits[b, best])
            total += g[b, c]
        loss += math.log(total) - (logits[b, y[b]] - logits[b, best])
        correct += best == y[b]
        for c in range(logits.shape[1]):
            g[b, c] = (g[b, c] / total - (c == y[b])) / batch
    return loss, correct


@_part
def _adam(p, m, v, g, lr, t):
    """One step of Adam (Kingma & Ba 2015, epsilon as in PyTorch) on flat arrays; t counts from 1."""
    size = np.float32(lr / (1 - BETA1**t))
    root = np.float32(1 / math.sqrt(1 - BETA2**t))
    b1, b2, eps = np.float32(1 - BETA1), np.float32(BETA2), np.float32(EPSILON)
    rest = np.float32(1 - BETA2)
    for i in range(len(p)):
        m[i] += b1 * (g[i] - m[i])
        v[i] = b2 * v[i] + rest * g[i] * g[i]
        p[i] -= size * m[i] / (np.sqrt(v[i]) * root + eps)


@_part
def views(flat, d, h1, h2, c):
    """(W1, b1, W2, b2, W3, b3) as views into a flat array."""
    a = d * h1
    b = a + h1
    e = b + h1 * h2
    f = e + h2
    k = f + h2 * c
    return (
        flat[:a].reshape(d, h1),
        flat[a:b],
        flat[b:e].reshape(h1, h2),
        flat[e:f],
        flat[f:k].reshape(h2, c),
        flat[k:],
    )


@njit(cache=True, **_OPTIONS)
def epoch_of_adam(flat, moments, widths, x, y, order, bits, p, batch, lr, steps_before):
    """Train one epoch in place; returns summed loss and count of right answers.

    `flat` [P] parameters, `moments` [2, P], `x` [N, D] float32, `y` [N] int64, `order` [n], `bits` [n, H1 +
    H2] int16, `p` dropout rate, `lr` constant over the epoch, `steps_before` optimizer steps already made.
    """
    d, h1, h2, c = widths
    grads = np.empty_like(flat)
    w1, c1, w2, c2, w3, c3 = views(flat, d, h1, h2, c)
    dw1, dc1, dw2, dc2, dw3, dc3 = views(grads, d, h1, h2, c)
    f4 = np.float32
    xs, ys = np.empty((batch, d), f4), np.empty(batch, np.int64)
    a1, a2, a3 = np.empty((batch, h1), f4), np.empty((batch, h2), f4), np.empty((batch, c), f4)
    g1, g2, g3 = np.empty((batch, h1), f4), np.empty((batch, h2), f4), np.empty((batch, c), f4)
    threshold, scale = round(p * 65536) - 32768, np.float32(1 / (1 - p))
    loss, correct, t = 0.0, 0, steps_before
    for start in range(0, len(order), batch):
        k = min(batch, len(order) - start)
        for b in range(k):
            xs[b] = x[order[start + b]]
            ys[b] = y[order[start + b]]
        masks = bits[start : start + k]
        _product(xs[:k], w1, a1[:k])
        _bias_relu_dropout(a1[:k], c1, masks, 0, threshold, scale)
        _product(a1[:k], w2, a2[:k])
        _bias_relu_dropout(a2[:k], c2, masks, h1, threshold, scale)
        _product(a2[:k], w3, a3[:k])
        step_loss, step_correct = _softmax_loss(a3[:k], c3, ys[:k], k, g3[:k])
        loss += step_loss
        correct += step_correct
        _weight_gradient(a2[:k], g3[:k], dw3, dc3)
        _input_gradient(g3[:k], w3, g2[:k])
        _through_relu_dropout(g2[:k], a2[:k], scale)
        _weight_gradient(a1[:k], g2[:k], dw2, dc2)
        _input_gradient(g2[:k], w2, g1[:k])
        _through_relu_dropout(g1[:k], a1[:k], scale)
        _weight_gradient(xs[:k], g1[:k], dw1, dc1)
        t += 1
        _adam(flat, moments[0], moments[1], grads, lr, t)
    return loss, correct
