"""Evidence about one column: its scores, one p-value, and whether what is left without chance matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headrace.monitor.drift_tests import DEFAULT_TESTS, MISSING, TESTS, DriftTest, Measure
from headrace.monitor.drift_tests.samples import Counts, Kind, Pair
from headrace.monitor.evidence.variance import MIN_BLOCKS, Blocks, VarianceTest, between_window_test

#: Fewer rows than this, on either side, are no evidence.
MIN_ROWS = 30


@dataclass(frozen=True, kw_only=True)
class ColumnEvidence:
    """One column of the current window against the reference.

    scores: by test of the catalogue that takes the kind, and "missing" where a row is. p_value: for both sample sizes,
    of the deciding tests together. test: the strongest of them; effect: its score less what chance alone gives, in
    its own unit, floor: from where that matters. significant: p_value <= alpha. drifted: significant, and the effect
    of a significant test at least its floor. n_reference, n_current: rows with a value. note: what stood in the way,
    or what is new; empty where nothing.
    """

    name: str
    kind: str
    scores: Mapping[str, float] = field(default_factory=dict)
    p_value: float = 1.0
    test: str = ""
    effect: float = 0.0
    floor: float = 0.0
    significant: bool = False
    drifted: bool = False
    n_reference: int = 0
    n_current: int = 0
    note: str = ""
    measures: Mapping[str, Measure] = field(default_factory=dict, repr=False)

    @property
    def severity(self) -> float:
        """The effect in multiples of its floor: comparable between columns and tests."""
        return self.effect / self.floor if self.floor else 0.0

    def judged(self, alpha: float, floors: Mapping[str, float] | None = None) -> ColumnEvidence:
        """The same evidence at another significance level, such as false-discovery control finds for all columns."""
        count, floors = len(self.measures), {name: _test(name).floor for name in self.measures} | dict(floors or {})
        passed = {
            name: measure
            for name, measure in self.measures.items()
            if measure.p_value * count <= alpha and measure.effect >= floors[name]
        }
        candidates = passed or self.measures
        test = min(
            candidates, key=lambda name: (candidates[name].p_value, -candidates[name].effect / floors[name]), default=""
        )
        return ColumnEvidence(
            **{
                **self.__dict__,
                "test": test,
                "effect": candidates[test].effect if test else 0.0,
                "floor": floors[test] if test else 0.0,
                "significant": self.p_value <= alpha,
                "drifted": bool(passed),
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Plain facts, without the measures behind them."""
        facts = {name: value for name, value in asdict(self).items() if name != "measures"}
        return {**facts, "scores": dict(self.scores), "severity": self.severity}


def column_evidence(
    name: str,
    kind: str,
    reference: Any,
    current: Any,
    *,
    tests: Sequence[str] | None = None,
    alpha: float = 0.01,
    floors: Mapping[str, float] | None = None,
    blocks: Blocks | None = None,
    scatter: Any = None,
    memory_us: int = 0,
    seed: int = 0,
) -> ColumnEvidence:
    """Compare two samples (Arrow or numpy, null or NaN is missing); None where the column is not there.

    kind: numeric, categorical or boolean. tests: names that decide together (default: DECIDING of the kind; those that
    cannot take the kind are left out, and the missing share always decides too). floors: test -> from
    which effect on a difference matters, where that is not the test's own floor.
    blocks: of the reference's rows, None where rows are taken as independent; of `scatter` (numbers) where that is
    given: other rows, whose blocks scatter as the reference's would. memory_us: how far the feature looks back.
    """
    test_kind: Kind | None = {"numeric": "numeric", "categorical": "categorical", "boolean": "categorical"}.get(kind)  # type: ignore[assignment]
    if test_kind is None:
        return ColumnEvidence(name=name, kind=kind, note=f"columns of kind {kind} are not compared")
    if reference is None:
        return ColumnEvidence(name=name, kind=kind, note="not in the reference")
    if kind == "boolean":
        # True, 1 and 1.0 are one category.
        reference, current = (_as_truth_values(values) for values in (reference, current))
    pair, note = _pair(test_kind, reference, current)
    n, m = pair.sizes
    rows = n + pair.missing[0], m + pair.missing[1]
    facts: dict[str, Any] = {"name": name, "kind": kind, "n_reference": n, "n_current": m}
    if min(rows) < MIN_ROWS:
        return ColumnEvidence(**facts, note=note or f"too few rows to judge: {rows[0]} and {rows[1]}")
    deciding = [TESTS[test] for test in _deciding(tests, test_kind) if test_kind in TESTS[test].kinds]
    measures = _measures(deciding if min(n, m) >= MIN_ROWS else [], pair, seed)
    if blocks is not None and measures and n and m:
        measures, variance_note = _limit_by_window_variance(
            measures, pair, blocks, scatter, memory_us / blocks.length_us
        )
        note = note or variance_note
    other_tests = (
        [test for test in TESTS.built_in.values() if test_kind in test.kinds and test.name not in measures]
        if n and m
        else []
    )
    scores = {name: measure.score for name, measure in measures.items()} | {t.name: t.score(pair) for t in other_tests}
    p_value = min([1.0, *(len(measures) * measure.p_value for measure in measures.values())])
    evidence = ColumnEvidence(
        **facts, scores=scores, p_value=p_value, measures=measures, note=note or _note(test_kind, pair)
    )
    return evidence.judged(alpha, floors)


def _deciding(tests: Sequence[str] | None, kind: Kind) -> Sequence[str]:
    """The named tests where one of them takes the kind; else the built-in choice for it."""
    takes = tests is not None and any(kind in TESTS[test].kinds for test in tests)
    return tests if takes and tests is not None else DEFAULT_TESTS[kind]


def _measures(deciding: Sequence[DriftTest], pair: Pair, seed: int) -> dict[str, Measure]:
    measures = {test.name: test.measure(pair, seed=seed) for test in deciding}
    if any(pair.missing):
        measures[MISSING.name] = MISSING.measure(pair, seed=seed)
    return measures


def _limit_by_window_variance(
    measures: dict[str, Measure], pair: Pair, blocks: Blocks, scatter: Any, lookback_windows: float
) -> tuple[dict[str, Measure], str]:
    """Measures that are no surer than the scatter of whole windows allows; none where too few windows are known."""
    rows = pair.rows if scatter is None else as_numbers(scatter)
    if rows is None:
        return measures, ""
    counts = pair.cell_counts(rows, blocks.ids, blocks.count)
    sides = [pair.cell_totals(which) for which in (0, 1)]
    pooled_level = scatter is None
    all_cells = between_window_test(counts, *sides, pooled_level=pooled_level, lookback_windows=lookback_windows)
    missing = between_window_test(
        _missing(counts),
        *(_missing(side) for side in sides),
        pooled_level=pooled_level,
        lookback_windows=lookback_windows,
    )
    limited = {
        name: _limit_p_value(item, missing if name == MISSING.name else all_cells) for name, item in measures.items()
    }
    testable = {name: item for name, item in limited.items() if item is not None}
    note = f"not judged: {all_cells.windows:.1f} independent windows in the reference, {MIN_BLOCKS:g} are needed"
    return testable, note if all_cells.p_value is None else ""


def _missing(counts: Counts) -> Counts:
    """Rows with a value and without."""
    return np.stack([counts[..., :-1].sum(axis=-1), counts[..., -1]], axis=-1)


def _limit_p_value(measure: Measure, test: VarianceTest) -> Measure | None:
    if test.p_value is None:
        return None
    return Measure(score=measure.score, p_value=max(measure.p_value, test.p_value), effect=measure.effect)


def _pair(kind: Kind, reference: Any, current: Any) -> tuple[Pair, str]:
    """The pair, and what had to be mended: a column that is gone or unreadable is a column of missing values."""
    note = ""
    if current is None:
        # As long as the reference: the window's own length is not known here, and the share is 1 either way.
        current, note = pa.nulls(len(reference)), "gone from the current window"
    if kind == "categorical":
        return Pair.categorical(reference, current), note
    reference_values, current_values = as_numbers(reference), as_numbers(current)
    if reference_values is None:
        return Pair.numeric(np.empty(0), np.empty(0)), "the reference holds no numbers"
    if current_values is None:
        current_values, note = np.full(len(current), np.nan), "holds no numbers any more"
    return Pair.numeric(reference_values, current_values), note


def _as_truth_values(values: Any) -> Any:
    numbers = None if values is None else as_numbers(values)
    return values if numbers is None else numbers


def as_numbers(values: Any) -> NDArray[np.float64] | None:
    """float64 [n] with NaN for null, None where the values are no numbers."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
        return values.astype(np.float64)
    try:
        array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=True)
        if pa.types.is_boolean(array.type):
            array = pc.cast(array, pa.int8())
        numbers: NDArray[np.float64] = pc.cast(array, pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return None
    return np.asarray(numbers, dtype=np.float64)


def _note(kind: Kind, pair: Pair) -> str:
    n, m = pair.sizes
    if not n and not m:
        return "null in both"
    if not m:
        return "all null in the current window"
    if not n:
        return "all null in the reference"
    if min(n, m) < MIN_ROWS:
        return f"too few values to judge more than their missing share: {n} and {m}"
    if kind == "categorical":
        return _new_categories(pair)
    return ""


def _new_categories(pair: Pair) -> str:
    new_codes = np.setdiff1d(pair.current, pair.reference)
    if not len(new_codes):
        return ""
    share = np.isin(pair.current, new_codes).mean()
    names = ", ".join(repr(pair.categories[code]) for code in new_codes[:3])
    more = f" and {len(new_codes) - 3} more" if len(new_codes) > 3 else ""
    return f"new categories in {share:.1%} of rows: {names}{more}"


def _test(name: str) -> DriftTest:
    return MISSING if name == MISSING.name else TESTS[name]
