"""Read the trees of a LightGBM model from its text format (version 4) as plain lists, for `trees.forest`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.core.errors import DataError

#: Bits of a node's `decision_type`: a categorical split; missing values go left; how missing values are recognised.
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_SHIFT, _MISSING_MASK = 2, 3
_MISSING = ("none", "zero", "nan")


@dataclass(frozen=True, kw_only=True)
class Split:
    """One inner node. A child is the position of a split, or ~position of a leaf.

    Attributes:
        feature: Position of the feature.
        threshold: Rows with values up to it go left; unused in categorical splits.
        left, right: Children.
        missing: What counts as a missing value: "none" (NaN is 0), "zero" (zero and NaN), "nan".
        default_left: Whether a missing value goes left.
        categories: Bit set of the category codes that go left, 32 bits a word; None in numerical splits.
    """

    feature: int
    threshold: float
    left: int
    right: int
    missing: str
    default_left: bool
    categories: tuple[int, ...] | None


@dataclass(frozen=True, kw_only=True)
class TextTree:
    """One tree: splits [m - 1] and leaf values [m]; the first split is the root."""

    splits: tuple[Split, ...]
    leaf_values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class TextModel:
    """The trees of a model, in the order in which LightGBM adds their values.

    Attributes:
        n_features: Columns of a row.
        n_outputs: Values of a prediction; tree i adds to output i modulo n_outputs.
        objective: Words of the objective: its name and parameters, such as ("binary", "sigmoid:1").
        trees: The trees.
    """

    n_features: int
    n_outputs: int
    objective: tuple[str, ...]
    trees: tuple[TextTree, ...]


def read_model_text(text: str) -> TextModel:
    """Read the text of `Booster.model_to_string()`.

    Raises:
        DataError: The model has a kind of tree that is not supported, or is no LightGBM model.
    """
    head, *blocks = text.split("\nTree=")
    header = _fields(head)
    if "average_output" in head.split():
        raise _refusal("the mean of its trees as output (random forests)")
    try:
        return TextModel(
            n_features=int(header["max_feature_idx"]) + 1,
            n_outputs=int(header["num_tree_per_iteration"]),
            objective=tuple(header.get("objective", "").split()),
            trees=tuple(_tree(_fields(block.partition("\n\n")[0])) for block in blocks),
        )
    except (KeyError, ValueError, IndexError) as error:
        raise DataError(f"no model text of LightGBM: {error!r}", where="trees") from None


def _tree(fields: Mapping[str, str]) -> TextTree:
    if fields.get("is_linear", "0") != "0":
        raise _refusal("linear models in its leaves")
    values = tuple(float(value) for value in fields["leaf_value"].split())
    if len(values) == 1:
        return TextTree(splits=(), leaf_values=values)
    bounds, words = _integers(fields, "cat_boundaries"), _integers(fields, "cat_threshold")
    columns = [_integers(fields, name) for name in ("split_feature", "left_child", "right_child", "decision_type")]
    thresholds = [float(value) for value in fields["threshold"].split()]
    splits = []
    for feature, left, right, decision, threshold in zip(*columns, thresholds, strict=True):
        categorical = bool(decision & _CATEGORICAL)
        at = int(threshold) if categorical else 0
        split = Split(
            feature=feature,
            threshold=threshold,
            left=left,
            right=right,
            missing=_MISSING[decision >> _MISSING_SHIFT & _MISSING_MASK],
            default_left=bool(decision & _DEFAULT_LEFT),
            categories=tuple(words[bounds[at] : bounds[at + 1]]) if categorical else None,
        )
        splits.append(split)
    return TextTree(splits=tuple(splits), leaf_values=values)


def _fields(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.split("\n") if "=" in line)


def _integers(fields: Mapping[str, str], name: str) -> list[int]:
    return [int(value) for value in fields.get(name, "").split()]


def _refusal(what: str) -> DataError:
    return DataError(f"a model with {what} cannot be compiled", where="trees", fix="LightGBM itself predicts with it")
