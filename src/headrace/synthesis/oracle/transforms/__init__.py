"""Twins of the transforms: each in plain Python, a function of one row's inputs and the tick. One file a family."""

from __future__ import annotations

from headrace.synthesis.oracle.transforms.arithmetic import ARITHMETIC
from headrace.synthesis.oracle.transforms.calendar import CALENDAR
from headrace.synthesis.oracle.transforms.compare import COMPARE
from headrace.synthesis.oracle.transforms.elapsed import ELAPSED
from headrace.synthesis.oracle.transforms.numeric import NUMERIC
from headrace.synthesis.oracle.transforms.place import PLACE
from headrace.synthesis.oracle.transforms.rows import Twin
from headrace.synthesis.oracle.transforms.text import TEXTS

#: The twin of each transform by name; those of registered ones are added.
TRANSFORM_TWINS: dict[str, Twin] = {
    **ARITHMETIC,
    **CALENDAR,
    **COMPARE,
    **ELAPSED,
    **NUMERIC,
    **PLACE,
    **TEXTS,
}
