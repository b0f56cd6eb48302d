"""Which features are associated with the label, one by one, from rank tests: for selection on small tables.

On a few hundred rows, the trees of a model overfit noise as much as they learn from most features, so a comparison of
gains has little power. A rank test of one feature has more. The share of false discoveries among the features that pass
is limited (Benjamini and Hochberg, 1995), as in tsfresh (Christ et al., 2018).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from headrace.synthesis.language.values import Floats

#: Expected share of features without association among those that pass.
_FALSE_DISCOVERIES = 0.1
#: Fewest rows with a value, and of a category, that a test needs.
_LEAST_ROWS, _LEAST_OF_CATEGORY = 20, 5


def associated(values: Floats, categorical: npt.NDArray[np.bool_], target: Floats) -> npt.NDArray[np.bool_]:
    """Return which features are associated with the label [p]: Spearman's test of numbers, Kruskal's of categories.

    Rows without a value take no part. Rows of one entity are not independent, so the share of false discoveries is a
    guide and no guarantee.

    Args:
        values: numbers, or codes of categories, NaN missing [n, p].
        categorical: which columns are codes [p].
        target: labels [n].
    """
    from scipy.stats import false_discovery_control  # 0.2 s: only small tables need it

    if not values.shape[1]:
        return np.zeros(0, dtype=bool)
    tests = [_of_categories if codes else _of_numbers for codes in categorical]
    p_values = np.array([test(column, target) for test, column in zip(tests, values.T, strict=True)])
    return np.asarray(false_discovery_control(p_values) <= _FALSE_DISCOVERIES, dtype=bool)


def _of_numbers(column: Floats, target: Floats) -> float:
    """Return the p-value of the rank correlation; 1 where it is not defined."""
    from scipy.stats import spearmanr

    present = np.isfinite(column)
    x, y = column[present], target[present]
    if len(x) < _LEAST_ROWS or (x == x[0]).all() or (y == y[0]).all():
        return 1.0
    return float(spearmanr(x, y).pvalue)


def _of_categories(column: Floats, target: Floats) -> float:
    """Return the p-value that labels are distributed alike in all frequent categories; 1 where it is not defined."""
    from scipy.stats import kruskal

    codes = np.unique(column[np.isfinite(column)])
    groups = [group for code in codes if len(group := target[column == code]) >= _LEAST_OF_CATEGORY]
    if len(groups) < 2 or len(np.unique(np.concatenate(groups))) < 2:
        return 1.0
    return float(kruskal(*groups).pvalue)
