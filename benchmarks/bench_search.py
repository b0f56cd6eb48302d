"""Searchers against each other and against their peers, on tables of real trainings.

    make bench-search [QUICK=1] [SEEDS=10]

Every searcher searches every table with every seed, for 100 trials. A run that was made with the same code of our
searchers (or version of a peer) is not repeated, so a run that was cut off goes on; two processes run at once.
Then the runs are judged (benchmarks.surrogate.verdict), and our searchers' suggestions are timed, alone. QUICK=1 runs
one seed of three tables and publishes nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.results import Goal, Row, publish, show
from benchmarks.surrogate.contenders import PEERS, told
from benchmarks.surrogate.runs import BUDGET, Case, marks_of, read_run, run_all, single_threaded
from benchmarks.surrogate.table import TABLES, load_table
from benchmarks.surrogate.verdict import Duel, Verdict
from headrace.models.figures import saved_axes
from headrace.search.searchers import SEARCHERS, get_searcher
from headrace.search.space import sample

COMMAND = "make bench-search"
OURS = tuple(SEARCHERS)
PICTURE = Path(__file__).parent.parent / "docs" / "images" / "search-regret.png"
#: Stands for the trials of a contender that did not get there in half of its runs.
NEVER = float(BUDGET + 1)
SEEDS, QUICK_SEEDS = 10, 1
QUICK_TABLES = ("churn", "concrete", "flights")
#: Observations at which a suggestion is timed, how many suggestions, how often, and the goals, ms.
OBSERVED, ASKED, REPEATS = 500, 30, 5
FAST = {"tpe": 5.0, "gp": 60.0}
NOTE = """
{tables} tables, each with 1,024 real trainings (LightGBM with nested sampling, or a linear model; 15 parameters),
{seeds} seeds, {budget} trials, all searchers in the same space, one trial at a time. `hyperopt` is Headrace's
searcher with Hyperopt's model; peers have default settings. Losses between the trained configurations are
interpolated (rank correlation in cross-validation {rho[0]:.2f} to {rho[1]:.2f}, within the best quarter {best[0]:.2f}
to {best[1]:.2f}), so small differences near the optimum come from the interpolation. The target loss is that of the
median run of random search after 100 trials; trials to reach it are the median over runs (a run is one table with
one seed), {never} if half of the runs did not reach it. Regret is scaled: 0 is the best known loss of the table, 1
that of a median random configuration. The best peer is the one with the lowest mean final regret on these runs.
Paired tests are one-sided, uncorrected Wilcoxon tests of the hypothesis that Headrace's final regret is worse; "over
tables" uses means over seeds, because runs of one table are not independent. A test that does not reject does not
show equality. A time is the mean over {asked} suggestions, each with one more observation than the one before, in
processor time of one thread; the table shows the lowest of five such means (other processes can only increase it) and
the median.
"""


def judged(contenders: Sequence[str], tables: Sequence[str], seeds: int) -> Verdict:
    """The verdict on runs that have been made."""
    losses = [
        [[read_run(Case(contender, table, seed)).losses for seed in range(seeds)] for table in tables]
        for contender in contenders
    ]
    return Verdict(
        contenders=tuple(contenders),
        tables=tuple(tables),
        losses=np.array(losses),
        marks={table: marks_of(table) for table in tables},
    )


def suggestions_ms(name: str, repeats: int = REPEATS) -> list[float]:
    """Mean CPU milliseconds of a suggestion in each repeat; the history grows from OBSERVED random trials."""
    table = load_table("concrete")
    rng = np.random.default_rng(0)
    first = [told(table, number, sample(table.space, rng)) for number in range(OBSERVED - 1)]
    means = []
    for _ in range(repeats):
        searcher, history, spent = get_searcher(name)(table.space), list(first), []
        for number in range(OBSERVED - 1, OBSERVED + ASKED):
            started = time.process_time()
            (config,) = searcher.ask(history, 1, np.random.default_rng([0, number]))
            spent.append(time.process_time() - started)
            history.append(told(table, number, config))
        # the first one also reads the whole history, which a study never hands over at once
        means.append(1000 * float(np.mean(spent[1:])))
    return means


def best_peer(verdict: Verdict) -> str:
    return min(PEERS, key=lambda peer: float(verdict.mean_regret(peer)[-1]))


def rows_of(verdict: Verdict, command: str) -> list[Row]:
    """Trials of each contender, then regret of each, then ours against the best peer."""
    rows = []
    for contender in verdict.contenders:
        goal = Goal(op="<=", value=BUDGET / 3) if contender in OURS and contender != "random" else None
        trials = min(verdict.median_trials(contender), NEVER)
        rows.append(
            Row(metric=f"{contender}: trials to random's loss at {BUDGET}", value=trials, unit="trials",
                goal=goal, peer="random by definition", peer_value=float(BUDGET), command=command)
        )  # fmt: skip
    for contender in verdict.contenders:
        rows.append(
            Row(metric=f"{contender}: regret after {BUDGET} trials (mean rank {verdict.rank(contender):.1f})",
                value=float(verdict.mean_regret(contender)[-1]), unit="", command=command)
        )  # fmt: skip
    peer = best_peer(verdict)
    for duel in verdict.duels([(name, peer) for name in OURS if name != "random"]):
        rows += compared(verdict, duel, command)
    return rows


def compared(verdict: Verdict, duel: Duel, command: str) -> list[Row]:
    runs, tables = verdict.worse(duel.first, duel.second)
    goal = Goal(op=">=", value=0.05)
    pair = f"{duel.first} is worse than {duel.second} ({duel.better} runs won, {duel.worse} lost)"
    return [
        Row(metric=f"{pair}: p over runs", value=runs, unit="", goal=goal, command=command),
        Row(metric="the same: p over tables", value=tables, unit="", goal=goal, command=command),
    ]


def timing_rows(command: str) -> list[Row]:
    single_threaded()
    rows = []
    for name in OURS:
        means = suggestions_ms(name)
        text = f"{name}: a suggestion at {OBSERVED} observations, the best of {REPEATS} means"
        rows.append(
            Row(metric=f"{text} (their median {np.median(means):.1f})", value=min(means), unit="CPU ms",
                goal=Goal(op="<=", value=FAST[name]) if name in FAST else None, command=command)
        )  # fmt: skip
    return rows


def draw_regret(verdict: Verdict, path: Path) -> Path:
    """Mean regret by trial, ours as solid lines and peers as dashed ones."""
    with saved_axes(path, height=5.0) as axes:
        for contender in verdict.contenders:
            curve = verdict.mean_regret(contender)
            axes.plot(np.arange(1, len(curve) + 1), curve, "--" if contender in PEERS else "-", lw=1.6, label=contender)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("trial")
        axes.set_ylabel("regret, mean over runs (lower is better)")
        axes.legend(frameon=False, fontsize=8)
    return path


def main() -> None:
    quick = bool(os.environ.get("QUICK"))
    fewer = int(os.environ.get("SEEDS") or SEEDS)
    seeds, tables = (QUICK_SEEDS, QUICK_TABLES) if quick else (fewer, TABLES)
    command = f"{COMMAND} QUICK=1" if quick else COMMAND if seeds == SEEDS else f"{COMMAND} SEEDS={seeds}"
    contenders = (*OURS, *PEERS)
    run_all([Case(contender, table, seed) for seed in range(seeds) for contender in contenders for table in tables])
    verdict = judged(contenders, tables, seeds)
    errors = [load_table(table).error for table in tables]
    spans = {name: (min(one[name] for one in errors), max(one[name] for one in errors)) for name in ("rho", "rho_best")}
    note = NOTE.format(
        tables=len(tables),
        seeds=seeds,
        budget=BUDGET,
        never=int(NEVER),
        asked=ASKED,
        rho=spans["rho"],
        best=spans["rho_best"],
    )
    rows = [*rows_of(verdict, command), *timing_rows(command)]
    if quick:
        show("Searchers, quickly: nothing is published", rows)
        return
    draw_regret(verdict, PICTURE)
    note += "\n![regret by trial](images/search-regret.png)\n"
    note += f"\nLoad average while suggestions were timed: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.\n"
    publish("search", "Searchers", rows, note)


if __name__ == "__main__":
    main()
