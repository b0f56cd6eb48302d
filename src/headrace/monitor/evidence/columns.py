"""Compare one column of a window with the reference: drift scores, one p-value, and whether the effect matters."""

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

#: Fewest rows of either side that are compared.
MIN_ROWS = 30


@dataclass(frozen=True, kw_only=True)
class ColumnEvidence:
    """The comparison of one column.

    Attributes:
        name: Name of the column.
        kind: numeric, categorical or boolean.
        scores: Test -> drift score, of each test of the catalogue that takes the kind; "missing" where a row is.
        p_value: Of the deciding tests together (Bonferroni), for both sample sizes.
        test: The most significant deciding test.
        effect: Its score less the score expected without drift, in the unit of the test.
        floor: Smallest effect that matters.
        significant: Whether p_value <= alpha.
        drifted: Whether a deciding test is significant and its effect is at least its floor.
        n_reference, n_current: Rows with a value.
        note: Why it was not compared, or what is new; empty otherwise.
        measures: Results of the deciding tests.
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
        """The effect divided by its floor: comparable between columns and tests."""
        return self.effect / self.floor if self.floor else 0.0

    def judged(self, alpha: float, floors: Mapping[str, float] | None = None) -> ColumnEvidence:
        """Return the evidence at another significance level, such as the threshold of false-discovery control."""
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
        """Return JSON-able facts, without `measures`."""
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
    lookback_us: int = 0,
    seed: int = 0,
) -> ColumnEvidence:
    """Compare two samples of a column.

    Args:
        name: Name of the column.
        kind: numeric, categorical or boolean.
        reference: Values [n], Arrow or NumPy, null or NaN is missing; None where the reference lacks the column.
        current: Values [m]; None where the window lacks the column.
        tests: Names of the tests that decide (default: DEFAULT_TESTS of the kind). Tests that do not take the kind
            are ignored; the missing share always decides too.
        alpha: Significance level.
        floors: Test -> smallest effect that matters, where it differs from the test's own floor.
        blocks: Blocks of the reference's rows, or of `scatter` where given; None treats rows as independent.
        scatter: Other numbers [k] from whose blocks the variance between windows is estimated.
        lookback_us: Lookback of the feature, microseconds.
        seed: Of simulated null distributions.
    """
    test_kind: Kind | None = {"numeric": "numeric", "categorical": "categorical", "boolean": "categorical"}.get(kind)  # type: ignore[assignment]
    if test_kind is None:
        return ColumnEvidence(name=name, kind=kind, note=f"columns of kind {kind} are not compared")
    if reference is None:
        return ColumnEvidence(name=name, kind=kind, note="not in the reference")
    if kind == "boolean":
        # True, 1 and 1.0 are the same category.
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
            measures, pair, blocks, scatter, lookback_us / blocks.length_us
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
    """Raise p-values to at least that of the between-window test; no measures with too few independent windows."""
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
    """Return the number of rows with a value and without one [..., 2] from counts [..., K]."""
    return np.stack([counts[..., :-1].sum(axis=-1), counts[..., -1]], axis=-1)


def _limit_p_value(measure: Measure, test: VarianceTest) -> Measure | None:
    if test.p_value is None:
        return None
    return Measure(score=measure.score, p_value=max(measure.p_value, test.p_value), effect=measure.effect)


def _pair(kind: Kind, reference: Any, current: Any) -> tuple[Pair, str]:
    """Build the pair of samples and a note; a missing or unreadable column is a column of missing values."""
    note = ""
    if current is None:
        # As long as the reference: the window's length is not known here, and its missing share is 1 either way.
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
    """Convert values to float64 [n] with NaN for null; None where they are not numbers."""
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
