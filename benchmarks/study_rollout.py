"""Error rates and speed of the test that decides rollouts, beside two others, on simulated series of blocks.

    make study-rollout [QUICK=1]

A series is the difference of two models' losses, block by block: a week of hours, looked at after every fourth.
Under the null hypothesis its mean is zero: whoever decides is wrong. With an effect, the mean is a multiple of the
standard deviation of a block. Three tests, each at the level 5 %:

    betting     the test of rollouts (`headrace.evaluate.sequential.mean`), with the effective share of the blocks
    t           the t-test's Bayes factor of the worth of a refresh (`headrace.monitor.worth.e_value`)
    fixed       Student's t-test at every look, as if it were the only one
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping

import numpy as np
from scipy import stats

from benchmarks.results import Goal, Row, publish
from headrace.evaluate.metrics import Floats
from headrace.evaluate.sequential.mean import evidence
from headrace.monitor.worth.e_value import autocorrelation, e_value, effective_share

QUICK = bool(os.environ.get("QUICK"))
COMMAND = f"make study-rollout{' QUICK=1' if QUICK else ''}"
#: Blocks of a series (a week of hours), the first look, blocks between two looks, and series of each kind.
BLOCKS, FIRST, EVERY, SERIES = 168, 7, 4, 200 if QUICK else 1_000
LEVEL = 0.05
Draw = Callable[[np.random.Generator, int], Floats]


def autoregressive(phi: float) -> Draw:
    """Draw Gaussian blocks whose successive values are correlated by phi, with variance 1."""

    def draw(rng: np.random.Generator, n: int) -> Floats:
        noise = rng.normal(size=n)
        values = np.empty(n)
        values[0] = noise[0]
        for i in range(1, n):
            values[i] = phi * values[i - 1] + math.sqrt(1 - phi**2) * noise[i]
        return values

    return draw


NULLS: Mapping[str, Draw] = {
    "independent": autoregressive(0.0),
    "heavy tails (t with 2.5 degrees of freedom)": lambda rng, n: rng.standard_t(2.5, size=n),
    "skewed (exponential)": lambda rng, n: rng.exponential(size=n) - 1,
    "skewed to the other side": lambda rng, n: 1 - rng.exponential(size=n),
    "autocorrelation .2": autoregressive(0.2),
    "autocorrelation .4": autoregressive(0.4),
    "autocorrelation .6": autoregressive(0.6),
}
EFFECTS = (0.2, 0.3, 0.5, 1.0, 3.0)


def betting(values: Floats) -> bool:
    """Whether the test of rollouts decides at a look."""
    return evidence(values, effective_share(autocorrelation(values))) >= 1 / LEVEL


def bayes_t(values: Floats) -> bool:
    """Whether the e-value of the t-test decides at a look."""
    return e_value(values, autocorrelation(values)) >= 1 / LEVEL


def fixed(values: Floats) -> bool:
    """Whether Student's t-test, one-sided, decides at a look."""
    return bool(stats.ttest_1samp(values, 0.0, alternative="greater").pvalue <= LEVEL)


TESTS: Mapping[str, Callable[[Floats], bool]] = {"betting": betting, "t": bayes_t, "fixed": fixed}


def decided(values: Floats, test: Callable[[Floats], bool]) -> int | None:
    """Return the number of blocks at the first look that decides; None where none does."""
    return next((n for n in range(FIRST, len(values) + 1, EVERY) if test(values[:n])), None)


def error_rates(rng: np.random.Generator) -> list[Row]:
    """Measure how often each test decides although there is no effect."""
    rows = []
    for kind, draw in NULLS.items():
        series = [draw(rng, BLOCKS) for _ in range(SERIES)]
        share = {
            name: 100 * float(np.mean([decided(one, test) is not None for one in series]))
            for name, test in TESTS.items()
        }
        rows += [
            _row(f"no effect, {kind}: {name} decides", share[name], "%", share["fixed"]) for name in ("betting", "t")
        ]
    return rows


def speeds(rng: np.random.Generator) -> list[Row]:
    """Measure after how many blocks each test has found an effect, in the median, and how often within a week."""
    rows = []
    for effect in EFFECTS:
        series = [rng.normal(effect, 1, size=BLOCKS) for _ in range(SERIES // 4)]
        for name in ("betting", "t"):
            found = [decided(one, TESTS[name]) for one in series]
            blocks = float(np.median([BLOCKS + 1 if one is None else one for one in found]))
            share = 100 * float(np.mean([one is not None for one in found]))
            rows.append(
                Row(
                    metric=f"effect {effect:g} sd of a block: {name}, median blocks ({share:.0f} % found in {BLOCKS})",
                    value=blocks, unit="blocks", command=COMMAND,
                )
            )  # fmt: skip
    return rows


def _row(metric: str, value: float, unit: str, peer: float) -> Row:
    goal = Goal(op="<=", value=100 * LEVEL) if "betting" in metric else None
    return Row(metric=metric, value=value, unit=unit, goal=goal, peer="fixed", peer_value=peer, command=COMMAND)


NOTE = f"""
Series of {BLOCKS} blocks, looked at from the {FIRST}th on after every fourth; {SERIES:,} series of each kind without an
effect, {SERIES // 4} with one. Level {LEVEL:.0%}. "betting" is the test of [rollouts](operating.md#rollouts), "t" the
e-value of the worth of a refresh, "fixed" Student's t-test that is looked at as often. A median of {BLOCKS + 1} means
that half of the series were not decided.
"""


def main() -> None:
    """Simulate, and publish the table."""
    rng = np.random.default_rng(20)
    publish("study-rollout", "Decisions of rollouts: error rates and speed", [*error_rates(rng), *speeds(rng)], NOTE)


if __name__ == "__main__":
    main()
