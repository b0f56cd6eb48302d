"""Compare one column of a window with the reference: drift scores, one p-value, and whether the effect matters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from headrace.monitor.drift_tests import DEFAULT_TESTS, MISSING, TESTS, DriftTest, Measure
from headrace.monitor.drift_tests.moments import MEAN, SPREAD
from headrace.monitor.drift_tests.samples import Kind, Pair
from headrace.monitor.evidence.clusters import Clusters
from headrace.monitor.evidence.conditional import conditional_results
from headrace.monitor.evidence.limits import JoinedWindows, Limits, limit_measures, moment_differences
from headrace.monitor.evidence.moment_tests import MomentResult, moment_results
from headrace.monitor.evidence.moments import MomentDifference
from headrace.monitor.evidence.values import as_truth_values, read_pair
from headrace.monitor.evidence.variance import MIN_BLOCKS, Blocks

#: Prefix of the name of the test of the mean of several windows, before their number.
JOINED = "mean of windows: "
#: Name of the test of the mean, given those of the other features.
CONDITIONAL = "mean given other features"
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
        differences: Test of a moment -> the window's difference beside those of the reference's blocks.
        results: Test of a moment -> its result, with variances moderated over all columns of the window.
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
    differences: Mapping[str, MomentDifference] = field(default_factory=dict, repr=False)
    results: Mapping[str, MomentResult] = field(default_factory=dict, repr=False)

    @property
    def severity(self) -> float:
        """The effect divided by its floor: comparable between columns and tests."""
        return self.effect / self.floor if self.floor else 0.0

    def judged(self, alpha: float, floors: Mapping[str, float] | None = None) -> ColumnEvidence:
        """Return the evidence at another significance level, such as the threshold of false-discovery control."""
        floors = {name: _test(name).floor for name in self.measures} | dict(floors or {})
        passed = {
            name: measure
            for name, measure in self.measures.items()
            if measure.p_value * _factor(name, self.measures) <= alpha and measure.effect >= floors[name]
        }
        candidates = passed or self.measures
        test = min(
            candidates,
            key=lambda name: (
                candidates[name].p_value * _factor(name, candidates),
                -candidates[name].effect / floors[name],
            ),
            default="",
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
        """Return JSON-able facts, without the results of single tests."""
        left_out = ("scores", "measures", "differences", "results")
        facts = {name: value for name, value in self.__dict__.items() if name not in left_out}
        return {**facts, "scores": dict(self.scores), "severity": self.severity}

    def with_moments(self, results: Mapping[str, MomentResult], sizes: Mapping[str, float]) -> ColumnEvidence:
        """Return the evidence with the tests of its moments against windows and entities in place of those by rows.

        Args:
            results: Test of a moment -> its result.
            sizes: Test of a moment -> size of the difference, standard deviations of the reference.
        """
        measures, scores, note = dict(self.measures), dict(self.scores), self.note
        for moment, result in results.items():
            size = sizes[moment]
            scores[moment] = size
            if result.p_value is None:
                measures.pop(moment, None)
                note = note or _few_windows(result.blocks)
                continue
            effect = float(np.sqrt(max(0.0, size**2 - result.variance)))
            measures[moment] = Measure(score=size, p_value=result.p_value, effect=effect)
        return replace(
            self, measures=measures, scores=scores, note=note, results=results, p_value=_combined_p_value(measures)
        )


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
    test_kind: Kind | None = {"numeric": "numeric", "categorical": "categorical", "boolean": "categorical"}.get(kind)  # type: ignore[assignment]
    if test_kind is None:
        return ColumnEvidence(name=name, kind=kind, note=f"columns of kind {kind} are not compared")
    if reference is None:
        return ColumnEvidence(name=name, kind=kind, note="not in the reference")
    if kind == "boolean":
        # True, 1 and 1.0 are the same category.
        reference, current = (as_truth_values(values) for values in (reference, current))
    pair, note = read_pair(test_kind, reference, current)
    n, m = pair.sizes
    rows = n + pair.missing[0], m + pair.missing[1]
    facts: dict[str, Any] = {"name": name, "kind": kind, "n_reference": n, "n_current": m}
    if min(rows) < MIN_ROWS:
        return ColumnEvidence(**facts, note=note or f"too few rows to judge: {rows[0]} and {rows[1]}")
    deciding = [TESTS[test] for test in _deciding(tests, test_kind) if test_kind in TESTS[test].kinds]
    measures = _measures(deciding if min(n, m) >= MIN_ROWS else [], pair, seed)
    if blocks is not None and measures and n and m:
        limits = Limits(
            blocks=blocks, clusters=tuple(clusters), scatter=scatter, lookback=lookback_us / blocks.length_us
        )
        differences = moment_differences(measures, pair, limits)
        measures, windows = limit_measures(measures, pair, limits, kept=differences)
        if MEAN.name in differences:
            differences |= {
                f"{JOINED}{item.windows}": found for item in joined if (found := item.difference(pair, limits))
            }
        facts["differences"] = differences
        note = note or (_few_windows(windows) if windows is not None else "")
    other_tests = (
        [test for test in TESTS.built_in.values() if test_kind in test.kinds and test.name not in measures]
        if n and m
        else []
    )
    scores = {name: measure.score for name, measure in measures.items()} | {t.name: t.score(pair) for t in other_tests}
    p_value = _combined_p_value(measures)
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


def _combined_p_value(measures: Mapping[str, Measure]) -> float:
    return min([1.0, *(_factor(name, measures) * measure.p_value for name, measure in measures.items())])


def _factor(name: str, names: Collection[str]) -> int:
    """Return what a p-value is multiplied by (weighted Bonferroni): half of the level is the mean's, if it is tested.

    The mean is what shifts most often, and what has power where windows are few. Its half is divided equally among the
    mean of the window, that of several windows, and the mean given other features, as far as they are tested.
    """
    joined = sum(one.startswith(JOINED) for one in names)
    about_mean = (MEAN.name in names) + (CONDITIONAL in names) + bool(joined)
    others = len(names) - (MEAN.name in names) - (CONDITIONAL in names) - joined
    if MEAN.name not in names or not others + joined:
        return len(names)
    share = 2 * about_mean if others else about_mean
    if name.startswith(JOINED):
        return share * joined
    return share if name in (MEAN.name, CONDITIONAL) else 2 * others


def _few_windows(windows: float) -> str:
    return f"not judged: {windows:.1f} independent windows in the reference, {MIN_BLOCKS:g} are needed"


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
    if name.startswith(JOINED) or name == CONDITIONAL:
        return MEAN
    return MISSING if name == MISSING.name else TESTS[name]
