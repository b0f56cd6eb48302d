"""The evidence of one column of a window: its drift tests, and what they say together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from headrace.monitor.drift_tests import MISSING, TESTS, DriftTest, Measure
from headrace.monitor.drift_tests.moments import MEAN
from headrace.monitor.evidence.moment_tests import MomentResult
from headrace.monitor.evidence.moments import MomentDifference
from headrace.monitor.evidence.variance import MIN_BLOCKS

#: Prefix of the name of the test of the mean of several windows, before their number.
JOINED = "mean of windows: "
#: Name of the test of the mean, given those of the other features.
CONDITIONAL = "mean given other features"


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
                note = note or few_windows(result.blocks)
                continue
            effect = float(np.sqrt(max(0.0, size**2 - result.variance)))
            measures[moment] = Measure(score=size, p_value=result.p_value, effect=effect)
        return replace(
            self, measures=measures, scores=scores, note=note, results=results, p_value=combined_p_value(measures)
        )


def combined_p_value(measures: Mapping[str, Measure]) -> float:
    """Return the p-value of all deciding tests together (weighted Bonferroni)."""
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


def few_windows(windows: float) -> str:
    """Return the note about a column whose reference has too few independent windows."""
    return f"not judged: {windows:.1f} independent windows in the reference, {MIN_BLOCKS:g} are needed"


def _test(name: str) -> DriftTest:
    if name.startswith(JOINED) or name == CONDITIONAL:
        return MEAN
    return MISSING if name == MISSING.name else TESTS[name]
