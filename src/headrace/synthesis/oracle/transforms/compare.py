"""Comparisons, and whether a value is missing, in plain Python."""

from __future__ import annotations

import operator

from headrace.synthesis.oracle.transforms.rows import Twin, of_known

COMPARE: dict[str, Twin] = {
    "greater": of_known(operator.gt),
    "greater_or_equal": of_known(operator.ge),
    "less": of_known(operator.lt),
    "less_or_equal": of_known(operator.le),
    "equal": of_known(operator.eq),
    "not_equal": of_known(operator.ne),
    "same": of_known(operator.eq),
    "different": of_known(operator.ne),
    "and": of_known(lambda a, b: a == 1 and b == 1),
    "or": of_known(lambda a, b: a == 1 or b == 1),
    "not": of_known(lambda a: a == 0),
    "is_null": lambda inputs, _tick_us: float(inputs[0] is None),
}
