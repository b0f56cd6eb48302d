"""The surrogate benchmark: what a stored table answers, what a kept run is, and how runs are judged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.bench_search import OURS, best_peer, compared, draw_regret, rows_of
from benchmarks.surrogate import TABLES, load_table, runs
from benchmarks.surrogate.contenders import PEERS, contender_named, hyperopt
from benchmarks.surrogate.runs import Case, read_run, run_case
from benchmarks.surrogate.space import SPACE, config_at
from benchmarks.surrogate.verdict import Marks, Verdict, holm
from headrace.core.errors import NotFoundError
from headrace.search.space import active_parameters, all_parameters, sample


def test_thirteen_tables_are_stored_each_with_enough_trainings() -> None:
    assert len(TABLES) == 13
    table = load_table("concrete")
    assert len(table.configs) == 1024
    assert np.isfinite(table.losses).all()
    assert table.error["rho"] > 0.8


def test_a_table_of_another_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(NotFoundError, match="concrete"):
        load_table("concret")


def test_a_config_has_one_loss_and_near_a_measured_one_it_is_about_that() -> None:
    table, again = load_table("concrete"), load_table("concrete")
    config = dict(table.configs[7])
    assert table.loss(config) == again.loss(config)
    answered = table.losses_at(table.configs[:200])
    assert np.corrcoef(answered, table.losses[:200])[0, 1] > 0.9


def test_asking_several_configs_at_once_changes_no_answer() -> None:
    table, rng = load_table("churn"), np.random.default_rng(3)
    configs = [sample(SPACE, rng) for _ in range(20)]
    assert table.losses_at(configs) == pytest.approx([table.loss(config) for config in configs])


def test_random_search_reaches_its_own_mark_in_half_of_its_runs() -> None:
    table, rng = replace(load_table("concrete"), draws=4_000), np.random.default_rng(5)
    runs = table.losses_at([sample(SPACE, rng) for _ in range(4_000)]).reshape(40, 100).min(axis=1)
    assert 0.3 < np.mean(runs <= table.random_at_100) < 0.7


def test_a_point_of_the_cube_is_a_config_with_what_is_active_and_nothing_else() -> None:
    for point in np.random.default_rng(0).random((100, len(list(all_parameters(SPACE))))):
        config = config_at(point)
        assert set(config) == {key for key, _ in active_parameters(SPACE, config)}


def test_a_game_is_the_same_again_and_read_as_it_was_written(tmp_path: Path) -> None:
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path in paths:
        run_case(Case("random", "concrete", 4), path)
    first, second = (json.loads(path.read_text())["losses"] for path in paths)
    assert first == second
    assert len(first) == runs.BUDGET


def test_runs_lie_apart_by_contender_table_and_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "KEPT", tmp_path)
    cases = [Case(p, t, s) for p in ("tpe", "random") for t in ("churn", "concrete") for s in (0, 1)]
    assert len({case.path for case in cases}) == 8
    run_case(cases[-1], cases[-1].path)
    assert runs.run_all(cases[-1:]) == 0
    assert len(read_run(cases[-1]).losses) == runs.BUDGET


def test_hyperopt_is_given_the_same_space() -> None:
    asked = []

    class Recorded:
        space = SPACE

        def loss(self, config: dict[str, object]) -> float:
            asked.append(config)
            return 1.0

    made = hyperopt(Recorded(), 0, 12)  # type: ignore[arg-type]
    assert len(made.losses) == len(asked) == 12
    for config in asked:
        assert set(config) == {key for key, _ in active_parameters(SPACE, config)}  # type: ignore[arg-type]


def test_every_searcher_of_the_catalogue_runs() -> None:
    made = contender_named("tpe")(load_table("concrete"), 0, 12)
    assert len(made.losses) == len(made.asking_s) == 12


def _verdict(losses: NDArray[np.float64], contenders: tuple[str, ...]) -> Verdict:
    tables = tuple("abcdefghijklm"[: losses.shape[1]])
    marks = {table: Marks(target=1.0, typical=2.0, lowest=0.0) for table in tables}
    return Verdict(contenders=contenders, tables=tables, losses=losses, marks=marks)


def test_trials_ranks_and_regret_by_hand() -> None:
    losses = np.array([[[[3.0, 1.0, 2.0], [2.0, 0.5, 0.0]]], [[[2.0, 2.0, 2.0], [1.0, 0.5, 0.5]]]])
    verdict = _verdict(losses, ("one", "two"))
    assert verdict.trials_to_target.tolist() == [[[2.0, 2.0]], [[np.inf, 1.0]]]
    assert verdict.median_trials("one") == 2
    assert verdict.median_trials("two") == np.inf
    assert verdict.rank("one") == 1
    assert verdict.rank("two", trial=1) == 1.75
    assert verdict.mean_regret("one").tolist() == [1.25, 0.375, 0.25]


def test_a_loss_below_all_that_was_measured_becomes_the_lowest() -> None:
    verdict = _verdict(np.array([[[[-2.0]]], [[[2.0]]]]), ("one", "two"))
    assert verdict.regret.ravel().tolist() == [0.0, 1.0]


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03]).tolist() == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]


def test_one_that_loses_every_game_is_worse_and_the_other_is_not() -> None:
    rng = np.random.default_rng(1)
    good = rng.random((13, 10, 5))
    verdict = _verdict(np.stack([good + 0.1 + 0.2 * rng.random((13, 10, 1)), good]), ("loser", "winner"))
    (duel,) = verdict.duels([("loser", "winner")])
    assert (duel.better, duel.worse) == (0, 130)
    assert duel.gain == pytest.approx(-0.1, abs=0.01)
    assert max(verdict.worse("loser", "winner")) < 0.001
    assert min(verdict.worse("winner", "loser")) > 0.999
    assert [row.verdict for row in compared(verdict, duel, "")] == ["no", "no"]
    (other,) = verdict.duels([("winner", "loser")])
    assert [row.verdict for row in compared(verdict, other, "")] == ["yes", "yes"]


def test_rows_and_picture_of_runs(tmp_path: Path) -> None:
    contenders = (*OURS, *PEERS)
    losses = np.random.default_rng(2).random((len(contenders), 4, 3, 20)) + 1.5
    losses[contenders.index("gp"), ..., 9] = 0.5
    losses[contenders.index("SMAC3")] -= 1.0
    verdict = _verdict(losses, contenders)
    assert best_peer(verdict) == "SMAC3"
    rows = {row.metric: row for row in rows_of(verdict, "make bench-search")}
    reached = rows["gp: trials to random's loss at 100"]
    assert (reached.value, reached.verdict) == (10.0, "yes")
    assert rows["tpe: trials to random's loss at 100"].verdict == "no"
    assert rows["random: trials to random's loss at 100"].goal is None
    json.dumps([row.value for row in rows.values()], allow_nan=False)
    assert draw_regret(verdict, tmp_path / "regret.png").stat().st_size < 150_000
