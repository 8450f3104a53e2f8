"""A plain training loop, written from the paper's text and PyTorch's documentation alone.

It shares nothing with `bbatch.engines.eager` or `bbatch.engines.compiled`: networks as Section III-B prints
them, whole batches, ordinary NCHW tensors, unfused optimizers, and every random choice (order, masks, crops)
handed in.
"""

import torch
from torch import nn
from torch.nn import functional as F


class FeedForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(20, 64), nn.Linear(64, 32), nn.Linear(32, 2)

    def forward(self, x, masks):
        """`masks`: two tensors of 0 and 1/(1-p), [n, 64] and [n, 32]."""
        h = F.relu(self.fc1(x)) * masks[0]
        h = F.relu(self.fc2(h)) * masks[1]
        return self.fc3(h)


class MnistNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.conv3 = nn.Conv2d(64, 128, 3, padding=1)
        self.fc = nn.Linear(128 * 14 * 14, 10)

    def forward(self, x, masks):
        """`masks`: one tensor of 0 and 1/(1-p), [n, 128, 14, 14]."""
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.conv3(x)) * masks[0]
        return self.fc(x.flatten(1))


class CifarNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.conv3 = nn.Conv2d(64, 128, 3, padding=1)
        self.fc = nn.Linear(128, 10)

    def forward(self, x, masks):
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.conv3(x))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


NETWORKS = {"synthetic-1k": FeedForward, "mnist": MnistNet, "cifar10": CifarNet}


def network(dataset, weights):
    """The network for `dataset`, its parameters set to `weights` (tensors in the order of the layers)."""
    net = NETWORKS[dataset]()
    with torch.no_grad():
        for p, w in zip(net.parameters(), weights, strict=True):
            p.copy_(w)
    return net


def learning_rate(base_lr, base_batch, batch, step, warmup_steps):
    """Eq. (2), with a linear climb over the first `warmup_steps` steps (step counts from 0)."""
    target = base_lr * batch / base_batch
    return target * (step + 1) / warmup_steps if step < warmup_steps else target


def crop_and_flip(image, dx, dy, flip):
    """One image [C, H, W]: a window of its own size from the zero-padded image (4 pixels), mirrored if
    `flip`."""
    c, h, w = image.shape
    window = F.pad(image, (4, 4, 4, 4))[:, dy : dy + h, dx : dx + w]
    return window.flip(2) if flip else window


def normalize(images, mean, std, dtype=torch.float32):
    """uint8 [n, C, H, W] scaled to [0, 1] and standardized by channel."""
    mean, std = (torch.tensor(v, dtype=dtype).view(1, -1, 1, 1) for v in (mean, std))
    return (images.to(dtype) / 255 - mean) / std


def train(net, optimizer, rate, batch, epochs):
    """Train in place; returns the summed loss and the count of right answers of each epoch.

    `rate(step)` is the learning rate of a step, counted over the whole run. `epochs` yields (x, y, masks),
    each already in the order of its epoch: inputs [n, ...], labels [n], and a list of masks [n, ...].
    """
    net.train()
    step, sums = 0, []
    for x, y, masks in epochs:
        total, right = 0.0, 0
        for i in range(0, len(y), batch):
            now = slice(i, i + batch)
            for group in optimizer.param_groups:
                group["lr"] = rate(step)
            logits = net(x[now], [m[now] for m in masks])
            loss = F.cross_entropy(logits, y[now])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y[now])
            right += int((logits.argmax(1) == y[now]).sum())
            step += 1
        sums.append((total, right))
    return sums
