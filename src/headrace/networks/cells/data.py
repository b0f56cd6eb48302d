"""Data sets that architectures are searched on: scikit-learn's tables and digits, split into three parts.

No data set is downloaded: all come with scikit-learn, or are drawn from a formula.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.core.errors import NotFoundError
from headrace.networks.training.losses import Kind, Objective


@dataclass(frozen=True, kw_only=True)
class SearchData:
    """A data set in three parts.

    Attributes:
        name: Its name.
        inputs: Part -> columns [n, p], standardised on the training rows, or images [n, 1, s, s].
        label: Part -> labels [n].
        objective: What the outputs mean.
        image: Whether the inputs are images.
    """

    name: str
    inputs: dict[str, NDArray[np.float32]]
    label: dict[str, NDArray[np.float64]]
    objective: Objective
    image: bool


def _friedman() -> tuple[Any, Any]:
    from sklearn.datasets import make_friedman1

    result: tuple[Any, Any] = make_friedman1(n_samples=800, noise=1.0, random_state=0)
    return result


def _circles() -> tuple[Any, Any]:
    """Return two classes by a radius in four of eight columns."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 8))
    return X, ((X[:, :4] ** 2).sum(axis=1) + rng.normal(size=800) * 0.5 > 3.4).astype(np.int64)


def _sklearn(name: str) -> Callable[[], tuple[Any, Any]]:
    def load() -> tuple[Any, Any]:
        from sklearn import datasets

        result: tuple[Any, Any] = getattr(datasets, f"load_{name}")(return_X_y=True)
        return result

    return load


#: Name -> (loader, whether the target is a class, whether it is images).
DATA_SETS: dict[str, tuple[Callable[[], tuple[Any, Any]], bool, bool]] = {
    "digits": (_sklearn("digits"), True, True),
    "breast_cancer": (_sklearn("breast_cancer"), True, False),
    "wine": (_sklearn("wine"), True, False),
    "diabetes": (_sklearn("diabetes"), False, False),
    "friedman": (_friedman, False, False),
    "circles": (_circles, True, False),
}


def load_search_data(name: str, *, seed: int = 0, side: int = 8) -> SearchData:
    """Return a data set, split 60 : 20 : 20 at random.

    Args:
        name: One of `DATA_SETS`.
        seed: Of the split.
        side: Side that images are resized to, bilinear.

    Raises:
        NotFoundError: There is no such data set.
    """
    if name not in DATA_SETS:
        raise NotFoundError(f"no data set {name!r}", where="architecture search", found=DATA_SETS)
    load, classes, image = DATA_SETS[name]
    X, y = load()
    order = np.random.default_rng(seed).permutation(len(X))
    first, second = round(0.6 * len(X)), round(0.8 * len(X))
    parts = {"train": order[:first], "valid": order[first:second], "test": order[second:]}
    columns = _images(X, side) if image else _standardised(X, parts["train"])
    label = {part: np.asarray(y[rows], dtype=np.float64) for part, rows in parts.items()}
    kind: Kind = "multiclass" if classes else "squared"
    return SearchData(
        name=name,
        inputs={part: columns[rows] for part, rows in parts.items()},
        label=label,
        objective=Objective.fit(kind, label["train"], classes=int(np.max(y)) + 1 if classes else 1),
        image=image,
    )


def _images(X: Any, side: int) -> NDArray[np.float32]:
    from scipy.ndimage import zoom

    images = np.asarray(X, dtype=np.float64).reshape(len(X), 1, 8, 8) / 8 - 1
    resized = images if side == 8 else zoom(images, (1, 1, side / 8, side / 8), order=1)
    return np.asarray(resized, dtype=np.float32)


def _standardised(X: Any, train: NDArray[np.int64]) -> NDArray[np.float32]:
    numbers = np.asarray(X, dtype=np.float64)
    spread = numbers[train].std(axis=0)
    return np.asarray((numbers - numbers[train].mean(axis=0)) / np.where(spread > 0, spread, 1.0), dtype=np.float32)
