"""What selection is worth: AUC of an untuned model of what it keeps, beside all candidates and other ways to choose.

    make bench-selection [QUICK=1] [SEEDS=3] [CASE=flights]

Everything that chooses sees the taught rows alone; the same LightGBM (150 trees, rate .08, 63 leaves) is taught on them
with each choice, and judged on later months. AUC is the mean over months (nafld: over half years). Its standard error
comes from days (nafld: patients) drawn anew within the months, the same ones for both sides of a difference, and, where
a choice has seeds, from them. Each case that is done lies in .headrace/bench/selection, so a killed run goes on.
"""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks import selection_cases
from benchmarks import selection_peers as peers
from benchmarks.results import Goal, Row, publish, show
from benchmarks.selection_cases import CASES, Case, case_of
from benchmarks.study_flights import ROUNDS, UNTUNED
from headrace.core.files import read_json, write_json
from headrace.core.fingerprint import fingerprint
from headrace.models.design import Design
from headrace.synthesis.selection import importance
from headrace.synthesis.selection import select as selection
from headrace.synthesis.selection.cost import cost_of
from headrace.synthesis.selection.select import Selection, select

COMMAND = "make bench-selection"
TITLE = "Feature selection: quality and cost"
KEPT = Path(".headrace") / "bench" / "selection"
DROPPED = 70.0
DRAWS, THREADS = 400, 2

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: The names of what is compared: ours, and what it is held against.
OURS, ALL = "selection", "all candidates"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One way to choose. auc: mean over its seeds. error: of auc less that of all candidates, as `difference` is.

    kept: how many features, mean over seeds. choose_s, teach_s: processor seconds, mean over seeds.
    """

    name: str
    kept: float
    auc: float
    difference: float
    error: float
    seeds: int
    choose_s: float
    teach_s: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A case: its choices, and of our ledger the share of candidates that have a cost, and of all cost what is kept."""

    name: str
    says: str
    candidates: int
    choices: list[Choice]
    ledger: float
    cost_kept: float
    reasons: dict[str, int]


def drawn_auc(y: Floats, predicted: Floats, period: Ints, unit: Ints, draws: int) -> Floats:
    """Mean over periods of AUC [1 + draws]: of all rows, then with units drawn anew within each period (seed 0)."""
    rng = np.random.default_rng(0)
    found = np.zeros(1 + draws)
    periods = np.unique(period)
    for one in periods:
        rows = np.flatnonzero(period == one)
        order = rows[np.argsort(predicted[rows], kind="stable")]
        names, codes = np.unique(unit[order], return_inverse=True)
        times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
        weights = np.concatenate([np.ones((1, len(names))), times])
        _, ties = np.unique(predicted[order], return_inverse=True)
        found += np.array([_auc(y[order], w[codes], ties) for w in weights])
    return found / len(periods)


def _auc(y: Floats, weight: Floats, ties: Ints) -> float:
    """Weighed AUC of rows in the order of their predictions; equal ones (ties) share."""
    positive = np.bincount(ties, weights=weight * y)
    negative = np.bincount(ties, weights=weight * (1 - y))
    below = np.cumsum(negative) - negative / 2
    return float((positive * below).sum() / (positive.sum() * negative.sum()))


def taught(case: Case, columns: Ints) -> tuple[Any, Floats, float]:
    """(model, mean AUC [1 + draws], processor seconds of teaching) of some columns."""
    import lightgbm

    started = time.process_time()
    part = _columns(case.X, columns)
    data = lightgbm.Dataset(part.X, label=case.y, categorical_feature=list(part.categorical))
    booster = lightgbm.train(UNTUNED, data, num_boost_round=ROUNDS)
    seconds = time.process_time() - started
    predicted: Any = booster.predict(_columns(case.judged, columns).X, num_threads=THREADS)
    return booster, drawn_auc(case.y_judged, predicted, case.period, case.unit, DRAWS), seconds


def _columns(design: Design, columns: Ints) -> Design:
    categorical = set(design.categorical)
    return Design(
        X=np.ascontiguousarray(design.X[:, columns]),
        names=tuple(design.names[at] for at in columns),
        categorical=tuple(at for at, column in enumerate(columns) if int(column) in categorical),
    )


def ours(case: Case, seed: int) -> tuple[Selection, Ints]:
    """What selection keeps, in its order."""
    found = select(
        case.taught, case.y, case.definitions, max_features=case.problem.max_features, seed=seed, threads=THREADS
    )
    at = {item: index for index, item in enumerate(case.definitions)}
    return found, np.array([at[item] for item in found.kept], dtype=np.int64)


class Comparison:
    """Choices of one case, each measured against the model of all candidates."""

    def __init__(self, case: Case, console: Console) -> None:
        self.case, self.console = case, console
        self.choices: list[Choice] = []
        self.booster, self.of_all, self.all_s = taught(case, np.arange(len(case.definitions)))
        self._add(ALL, [len(case.definitions)], [self.of_all], [0.0], [self.all_s])

    def add(self, name: str, choose: Callable[[int], Ints], seeds: int, given_s: float = 0.0) -> None:
        """Choose, teach and judge with each seed; given_s: what was spent before, that this choice rests on."""
        kept, drawn, choosing, teaching = [], [], [], []
        for seed in range(seeds):
            started = time.process_time()
            columns = choose(seed)
            choosing.append(time.process_time() - started + given_s)
            _, auc, seconds = taught(self.case, columns)
            kept.append(len(columns))
            drawn.append(auc)
            teaching.append(seconds)
        self._add(name, kept, drawn, choosing, teaching)

    def _add(
        self, name: str, kept: list[int], drawn: list[Floats], choosing: list[float], teaching: list[float]
    ) -> None:
        difference = np.mean(drawn, axis=0) - self.of_all
        of_seeds = float(np.std([one[0] for one in drawn], ddof=1)) if len(drawn) > 1 else 0.0
        choice = Choice(
            name=name,
            kept=float(np.mean(kept)),
            auc=float(np.mean([one[0] for one in drawn])),
            difference=float(difference[0]),
            error=float(np.sqrt(np.var(difference[1:]) + of_seeds**2 / len(drawn))),
            seeds=len(drawn),
            choose_s=float(np.mean(choosing)),
            teach_s=float(np.mean(teaching)),
        )
        self.choices.append(choice)
        self.console.print(
            f"  {name}: {choice.kept:.0f} features, AUC {choice.auc:.4f}"
            f" ({choice.difference:+.4f} ±{choice.error:.4f}),"
            f" {choice.choose_s:.0f} s to choose, {choice.teach_s:.0f} s to teach"
        )


def measure(case: Case, seeds: int, console: Console) -> Measured:
    """Everything about one case."""
    console.print(f"{case.name}: {case.says}, judged on {len(case.y_judged):,}")
    comparison = Comparison(case, console)
    X, y, p = case.X.X, case.y, len(case.definitions)
    mine: list[tuple[Selection, Ints]] = []

    def choose(seed: int) -> Ints:
        mine.append(ours(case, seed))
        return mine[-1][1]

    comparison.add(OURS, choose, seeds)
    first, columns = mine[0]
    k = len(columns)
    comparison.add("null, constant, correlated dropped", lambda seed: peers.by_rules(X, seed), 1)
    comparison.add("SelectKBest, F test", lambda _: peers.by_f_test(X, y, k), 1)
    comparison.add("SelectKBest, mutual information", lambda seed: peers.by_mutual_information(X, y, k, seed), 1)
    comparison.add(
        "best by gain in the model of all", lambda _: peers.by_gain(comparison.booster, k), 1, comparison.all_s
    )
    comparison.add("at random", lambda seed: peers.at_random(p, k, seed), seeds)
    cost = np.array([cost_of(item) for item in case.definitions])
    reasons: dict[str, int] = {}
    for entry in first.ledger:
        reason = _short(entry["reason"])
        reasons[reason] = reasons.get(reason, 0) + 1
    return Measured(
        name=case.name,
        says=case.says,
        candidates=p,
        choices=comparison.choices,
        ledger=sum("cost_s" in one and "contribution" in one for one in first.ledger) / p,
        cost_kept=float(cost[columns].sum() / cost.sum()),
        reasons=reasons,
    )


def _short(reason: str) -> str:
    return next((word for word in ("duplicate", "correlated", "leaks", "categories") if word in reason), reason)


def rows_of(measured: Measured, command: str) -> list[Row]:
    """Goals first, then every peer."""
    found = {choice.name: choice for choice in measured.choices}
    mine, everything = found[OURS], found[ALL]
    name = measured.name
    rows = [
        Row(metric=f"{name}: dropped of {measured.says}", value=100 * (1 - mine.kept / measured.candidates), unit="%",
            goal=Goal(op=">=", value=DROPPED), command=command),
        Row(metric=f"{name}: AUC of what is kept, less that of all", value=mine.difference, unit="",
            goal=Goal(op=">=", value=0.0), peer="all", peer_value=everything.auc, command=command),
        Row(metric=f"{name}: standard error of that", value=mine.error, unit="", command=command),
        Row(metric=f"{name}: selecting", value=mine.choose_s, unit="processor s", peer="teaching on all, s",
            peer_value=everything.teach_s, command=command),
        Row(metric=f"{name}: teaching on what is kept", value=mine.teach_s, unit="processor s",
            peer="teaching on all, s", peer_value=everything.teach_s, command=command),
        Row(metric=f"{name}: cost to compute what is kept, of that of all", value=100 * measured.cost_kept, unit="%",
            command=command),
        Row(metric=f"{name}: candidates whose cost and contribution are in the ledger", value=100 * measured.ledger,
            unit="%", goal=Goal(op=">=", value=100.0), command=command),
    ]  # fmt: skip
    rows += [
        Row(metric=f"{name}: AUC of selection, less that of {peer.name} ({peer.kept:.0f})", value=mine.auc - peer.auc,
            unit="", peer="its AUC", peer_value=peer.auc, command=command)
        for peer in measured.choices if peer.name not in (OURS, ALL)
    ]  # fmt: skip
    return rows


def table(measured: Sequence[Measured]) -> str:
    """Markdown: a line for each choice of each case."""
    lines = [
        "| case | choice | features | AUC | less that of all | standard error | s to choose | s to teach |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for case in measured:
        for one in case.choices:
            error = f"{one.error:.4f}" if one.name != ALL else ""
            lines.append(
                f"| {case.name} | {one.name} | {one.kept:.0f} | {one.auc:.4f} | {one.difference:+.4f} | {error}"
                f" | {one.choose_s:.1f} | {one.teach_s:.1f} |"
            )
    return "\n".join(lines)


def why(measured: Sequence[Measured]) -> str:
    """Why candidates went, in words."""
    said = []
    for case in measured:
        told = sorted(case.reasons.items(), key=lambda one: -one[1])
        said.append(f"{case.name.capitalize()}: " + ", ".join(f"{count} {reason}" for reason, count in told))
    return ". ".join(said) + "."


NOTE = """\
Every method selects on the training rows only (flights: January to April; nafld: what was known before May 1999). The
same untuned LightGBM (150 trees, rate .08, 63 leaves) is fitted on them with each selection, and evaluated on later
rows: eight months, or four years of half-yearly cutoffs. AUC is the mean over these periods. The standard error is
that of the difference to all candidates, from resampled days (nafld: patients) and from seeds (three of the selection
and of the model). "flights, wide" has `depth=2` and `where="auto"`, on every fourth row; "nafld, wide" has
conditions, eight lookbacks and ten more primitives, on every second row. Seconds are processor seconds of two
threads. Selection keeps at most 120 features. Null, constant and correlated features are removed by the rules of
featuretools.selection, reimplemented here; mutual information uses 5,000 rows. The ledger's contribution is 0 for a
candidate that was removed before it was measured.

Selection is not better than every peer. Ranking by the gain of a model with all candidates is equally good on the
flights, for six times the processor time, and worse on "flights, wide", which has many candidates and few rows. On
nafld both it and the simple rules were better by about one standard error, and on "nafld, wide" by two.
"""


def code() -> str:
    """What decides a case's figures, besides the candidates' values."""
    import lightgbm

    parts = [inspect.getsource(part) for part in (selection, importance, peers, selection_cases, drawn_auc, taught)]
    return fingerprint([*parts, lightgbm.__version__])[:10]


def main() -> None:
    quick = bool(os.environ.get("QUICK"))
    seeds = 2 if quick else int(os.environ.get("SEEDS", 3))
    names = [os.environ["CASE"]] if os.environ.get("CASE") else ["flights", "nafld"] if quick else list(CASES)
    console = Console()
    done: list[Measured] = []
    for name in names:
        path = KEPT / code() / f"{'quick ' if quick else ''}{name} {seeds}.json".replace(", ", "-").replace(" ", "-")
        if not path.exists():
            write_json(
                path, asdict(measure(case_of(name, every=8 if quick and name == "flights" else 1), seeds, console))
            )
        done.append(_read(read_json(path)))
    command = f"{COMMAND} QUICK=1" if quick else COMMAND
    rows = [row for one in done for row in rows_of(one, command)]
    if quick or len(done) < len(CASES):  # few rows, or few cases, are no figures to publish
        show(TITLE, rows)
    else:
        publish("selection", TITLE, rows, f"{NOTE}\nWhy candidates went. {why(done)}\n\n{table(done)}")


def _read(data: Mapping[str, Any]) -> Measured:
    return Measured(**{**data, "choices": [Choice(**one) for one in data["choices"]]})


if __name__ == "__main__":
    main()
