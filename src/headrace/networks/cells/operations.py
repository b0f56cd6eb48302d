"""The operations on an edge of a cell, for tables [n, w] and for images [n, w, s, s]; see `architectures`.

Import this module after `training.torch_import.require_torch`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class _Zero(nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.zeros_like(x)


class _Glu(nn.Module):
    """(W x + b) * sigmoid(V x + c)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.both = nn.Linear(width, 2 * width)

    def forward(self, x: Any) -> Any:
        return nn.functional.glu(self.both(x), dim=1)


class _Gated(nn.Module):
    """x * sigmoid(V x + c)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, width)

    def forward(self, x: Any) -> Any:
        return x * torch.sigmoid(self.gate(x))


class _Attention(nn.Module):
    """softmax(V x + c) * w * x: a uniform attention leaves x as it is."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width, self.scores = width, nn.Linear(width, width)

    def forward(self, x: Any) -> Any:
        return torch.softmax(self.scores(x), dim=1) * self.width * x


class _Residual(nn.Module):
    """x + W2 relu(W1 x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Any) -> Any:
        return x + self.outer(torch.relu(self.inner(x)))


def convolution(channels: int, width: int, size: int) -> Any:
    """Return a convolution that keeps the image's side, normalised over channels and pixels, with a relu."""
    return nn.Sequential(
        nn.Conv2d(channels, width, size, padding=size // 2, bias=False), nn.GroupNorm(1, width), nn.ReLU()
    )


def _separable(width: int) -> Any:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
        nn.Conv2d(width, width, 1, bias=False),
        nn.GroupNorm(1, width),
        nn.ReLU(),
    )


_MAKERS: dict[str, Callable[[int], Any]] = {
    "none": lambda width: _Zero(),
    "skip": lambda width: nn.Identity(),
    "linear": lambda width: nn.Sequential(nn.Linear(width, width), nn.ReLU()),
    "glu": _Glu,
    "gated": _Gated,
    "attention": _Attention,
    "residual": _Residual,
    "conv_3x3": lambda width: convolution(width, width, 3),
    "conv_5x5": lambda width: convolution(width, width, 5),
    "separable_3x3": _separable,
    "max_pool_3x3": lambda width: nn.MaxPool2d(3, stride=1, padding=1),
}


def make_operation(name: str, width: int) -> Any:
    """Return an operation of a width as a module."""
    return _MAKERS[name](width)
