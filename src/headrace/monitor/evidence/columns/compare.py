"""Compare columns of a window with the reference: drift scores, one p-value each, and whether the effect matters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from headrace.monitor.drift_tests import DEFAULT_TESTS, MISSING, TESTS, DriftTest, Measure
from headrace.monitor.drift_tests.moments import MEAN, SPREAD
from headrace.monitor.drift_tests.samples import Kind, Pair
from headrace.monitor.evidence.clusters import Clusters
from headrace.monitor.evidence.columns.column import CONDITIONAL, JOINED, ColumnEvidence, combined_p_value, few_windows
from headrace.monitor.evidence.conditional import conditional_results
from headrace.monitor.evidence.limits import JoinedWindows, Limits, limit_measures, moment_differences
from headrace.monitor.evidence.moment_tests import MomentResult, moment_results
from headrace.monitor.evidence.moments import MomentDifference
from headrace.monitor.evidence.values import as_truth_values, read_pair
from headrace.monitor.evidence.variance import Blocks

#: Fewest rows of either side that are compared.
MIN_ROWS = 30
#: Kind of a feature -> kind of samples that drift tests take.
_TEST_KINDS: dict[str, Kind] = {"numeric": "numeric", "categorical": "categorical", "boolean": "categorical"}


def compare_column(
    name: str,
    kind: str,
    reference: Any,
    current: Any,
    *,
    tests: Sequence[str] | None = None,
    alpha: float = 0.01,
    floors: Mapping[str, float] | None = None,
    blocks: Blocks | None = None,
    clusters: Sequence[Clusters] = (),
    joined: Sequence[JoinedWindows] = (),
    scatter: Any = None,
    lookback_us: int = 0,
    seed: int = 0,
) -> ColumnEvidence:
    """Compare two samples of a column; `judge_moments` then tests its moments, those of all columns together.

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
        clusters: Entities that the rows share, each for all rows; used with `blocks`.
        joined: The window with those before it, for the test of its mean; used with `blocks`.
        scatter: Other numbers [k] from whose blocks the variance between windows is estimated.
        lookback_us: Lookback of the feature, microseconds.
        seed: Of simulated null distributions.
    """
    test_kind = _TEST_KINDS.get(kind)
    if test_kind is None:
        return ColumnEvidence(name=name, kind=kind, note=f"columns of kind {kind} are not compared")
    if reference is None:
        return ColumnEvidence(name=name, kind=kind, note="not in the reference")
    if kind == "boolean":
        # True, 1 and 1.0 are the same category.
        reference, current = (as_truth_values(values) for values in (reference, current))
    pair, note = read_pair(test_kind, reference, current)
    n, m = pair.sizes
    facts: dict[str, Any] = {"name": name, "kind": kind, "n_reference": n, "n_current": m}
    rows = n + pair.missing[0], m + pair.missing[1]
    if min(rows) < MIN_ROWS:
        return ColumnEvidence(**facts, note=note or f"too few rows to judge: {rows[0]} and {rows[1]}")
    deciding = [TESTS[test] for test in _deciding(tests, test_kind) if test_kind in TESTS[test].kinds]
    measures = _measures(deciding if min(n, m) >= MIN_ROWS else [], pair, seed)
    differences: dict[str, MomentDifference] = {}
    if blocks is not None and measures and n and m:
        limits = Limits(
            blocks=blocks, clusters=tuple(clusters), scatter=scatter, lookback=lookback_us / blocks.length_us
        )
        measures, differences, limit_note = _limited(measures, pair, limits, joined)
        note = note or limit_note
    evidence = ColumnEvidence(
        **facts,
        scores=_scores(measures, pair, test_kind),
        p_value=combined_p_value(measures),
        measures=measures,
        differences=differences,
        note=note or _note(test_kind, pair),
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


def _limited(
    measures: Mapping[str, Measure], pair: Pair, limits: Limits, joined: Sequence[JoinedWindows]
) -> tuple[dict[str, Measure], dict[str, MomentDifference], str]:
    """Account for rows that depend on each other.

    Returns:
        The measures, with p-values limited by the variance between windows; the differences of moments, which
        `judge_moments` tests; and a note where the reference has too few windows.
    """
    differences = moment_differences(measures, pair, limits)
    limited, windows = limit_measures(measures, pair, limits, kept=differences)
    if MEAN.name in differences:
        differences |= {f"{JOINED}{item.windows}": found for item in joined if (found := item.difference(pair, limits))}
    return limited, differences, few_windows(windows) if windows is not None else ""


def _scores(measures: Mapping[str, Measure], pair: Pair, kind: Kind) -> dict[str, float]:
    """Return the score of every built-in test of the kind, of the deciding tests and of the others."""
    scores = {name: measure.score for name, measure in measures.items()}
    if all(pair.sizes):
        others = [test for test in TESTS.built_in.values() if kind in test.kinds and test.name not in measures]
        scores |= {test.name: test.score(pair) for test in others}
    return scores


def judge_moments(
    columns: Sequence[ColumnEvidence], reads: Mapping[str, Collection[str]] | None = None
) -> list[ColumnEvidence]:
    """Test the moments of all columns of a window; variances of means are moderated over the columns.

    Those of spread are not: shocks that entities share make them skewed, and a moderated variance has too thin tails.

    Args:
        columns: From `compare_column`.
        reads: Feature -> the columns that it is computed from, where known.
    """
    results: list[dict[str, MomentResult]] = [{} for _ in columns]
    sizes = [{name: abs(found.difference) for name, found in column.differences.items()} for column in columns]
    for name in dict.fromkeys(name for column in columns for name in column.differences):
        having = [i for i, column in enumerate(columns) if name in column.differences]
        differences = [columns[i].differences[name] for i in having]
        tested = moment_results(differences, moderate=name != SPREAD.name)
        for i, result in zip(having, tested, strict=True):
            results[i][name] = result
        if name == MEAN.name:
            sources = [(reads or {}).get(columns[i].name, ()) for i in having]
            for i, given in zip(having, conditional_results(differences, tested, sources), strict=True):
                if given is not None:
                    sizes[i][CONDITIONAL], results[i][CONDITIONAL] = abs(given[0]), given[1]
    return [
        column.with_moments(found, size) if found else column
        for column, found, size in zip(columns, results, sizes, strict=True)
    ]


def column_evidence(
    name: str,
    kind: str,
    reference: Any,
    current: Any,
    *,
    alpha: float = 0.01,
    floors: Mapping[str, float] | None = None,
    **options: Any,
) -> ColumnEvidence:
    """Compare two samples of one column by itself: `compare_column`, with its moments tested."""
    compared = compare_column(name, kind, reference, current, alpha=alpha, floors=floors, **options)
    return judge_moments([compared])[0].judged(alpha, floors)


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
