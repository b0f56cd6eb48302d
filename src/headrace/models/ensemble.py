"""An ensemble of fitted models as one model: the weighted mean of their raw outputs, for bundles and serving.

Probabilities are pooled as log-odds, so that the Shapley values of the ensemble are the weighted sum of those of its
members, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headrace.core.errors import CorruptError
from headrace.core.files import read_json, write_json
from headrace.models.design import Design, Predictions
from headrace.models.families import get_family
from headrace.models.families.protocol import Fitted
from headrace.models.log_scale import on_log_scale
from headrace.models.two_part import is_two_part, load_two_part

#: Family of a bundle that holds an ensemble. It is no family to search, so the catalogue does not have it.
ENSEMBLE = "ensemble"
_FILE = "members.json"
#: Probabilities are clipped before their log-odds, which would be infinite.
_CLIP = 1e-9


@dataclass(frozen=True, kw_only=True)
class FittedMember:
    """A fitted model in an ensemble, its family and its weight."""

    family: str
    weight: float
    fitted: Fitted


@dataclass(frozen=True, kw_only=True)
class FittedEnsemble:
    """A fitted ensemble; the weights of its members sum to 1.

    Attributes:
        members: The members.
        binary: Whether they predict probabilities.
    """

    members: tuple[FittedMember, ...]
    binary: bool

    @property
    def rounds(self) -> int | None:
        return None

    def predict(self, design: Design, *, threads: int = 1) -> Predictions:
        """Predict [n]: the probability of a true label, or a number."""
        predicted = [member.fitted.predict(design, threads=threads) for member in self.members]
        return pooled(predicted, [member.weight for member in self.members], binary=self.binary)

    def contributions(self, design: Design) -> NDArray[np.float64]:
        """Return the Shapley values [n, d] of the raw output: the weighted sum of the members'."""
        parts = [member.weight * member.fitted.contributions(design) for member in self.members]
        return np.asarray(np.sum(parts, axis=0), dtype=np.float64)

    def save(self, folder: Path) -> None:
        """Write each member in its family's format, and members.json with families and weights."""
        listed = []
        for number, member in enumerate(self.members):
            path = folder / f"{number}-{member.family}"
            path.mkdir()
            member.fitted.save(path)
            listed.append({"family": member.family, "weight": member.weight, "folder": path.name})
        write_json(folder / _FILE, {"binary": self.binary, "members": listed})


def raw_output(predicted: Predictions, *, binary: bool) -> Predictions:
    """Return predictions [n] on the scale on which they are pooled: log-odds of probabilities, numbers as they are."""
    if not binary:
        return predicted
    p = np.clip(predicted, _CLIP, 1 - _CLIP)
    return np.asarray(np.log(p) - np.log1p(-p), dtype=np.float64)


def from_raw(raw: Predictions, *, binary: bool) -> Predictions:
    """Return predictions [n] of pooled raw outputs: the inverse of `raw_output`."""
    return np.asarray(1 / (1 + np.exp(-raw)), dtype=np.float64) if binary else raw


def pooled(predicted: Sequence[Predictions], weights: Sequence[float], *, binary: bool) -> Predictions:
    """Return the weighted mean [n] of predictions on the scale of `raw_output`."""
    total = sum(weight * raw_output(p, binary=binary) for weight, p in zip(weights, predicted, strict=True))
    return from_raw(np.asarray(total, dtype=np.float64), binary=binary)


def families_of(family: str, fitted: Fitted) -> tuple[str, ...]:
    """Return the names of the families in a model: those of its members for an ensemble."""
    if not isinstance(fitted, FittedEnsemble):
        return (family,)
    return tuple(dict.fromkeys(member.family for member in fitted.members))


def _load_member(folder: Path, family: str) -> Fitted:
    if is_two_part(folder):
        return load_two_part(folder, get_family(family).load)
    return on_log_scale(folder, get_family(family).load(folder))


def load_fitted(family: str, folder: Path) -> Fitted:
    """Read a fitted model of any family, or an ensemble. The caller has checked the folder's manifest.

    Raises:
        CorruptError: The files are not such a model.
    """
    if family != ENSEMBLE:
        return _load_member(folder, family)
    try:
        data = read_json(folder / _FILE)
        members = tuple(
            FittedMember(
                family=str(item["family"]),
                weight=float(item["weight"]),
                fitted=_load_member(folder / str(item["folder"]), str(item["family"])),
            )
            for item in data["members"]
        )
        return FittedEnsemble(members=members, binary=bool(data["binary"]))
    except (KeyError, TypeError) as error:
        raise CorruptError(f"members.json lacks or misspells {error}", where=str(folder)) from None
