"""A search that starts from an earlier study: what it tries first, what it knows, and that it resumes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.errors import ConflictError
from headrace.search.searchers import SearcherFactory, get_searcher
from headrace.search.searchers.cube import Cube
from headrace.search.searchers.gaussian_process import Prior, matern
from headrace.search.space import Categorical, Config, Float, Space, sample
from headrace.search.study.study import StudyResult, run_study
from headrace.search.transfer.known import MAX_CARRIED, KnownTrial, carry_on, fitting, level_shift, measured_losses
from headrace.search.transfer.portfolio import MIN_DISTANCE, portfolio
from headrace.search.transfer.searcher import TASK, TransferSearcher
from headrace.search.trial import Trial
from headrace.testing.searchers import SearcherConformance

SPACE = Space({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0), "kind": Categorical(("a", "b"))})


def key(config: Config) -> tuple[Any, ...]:
    return config["x"], config["y"], config["kind"]


def trial(number: int, config: Config, loss: float | None, status: Any = "ok") -> Trial:
    return Trial(number=number, config=config, status=status, loss=loss, seconds=0.0)


configs = st.fixed_dictionaries(
    {
        "x": st.integers(0, 8).map(lambda n: n / 8),
        "y": st.integers(0, 4).map(lambda n: n / 4),
        "kind": st.sampled_from("abc"),  # c is of an earlier space
    }
)
known_trials = st.lists(
    st.builds(
        KnownTrial, config=configs, loss=st.integers(-9, 9).map(float), finished=st.booleans(), age=st.integers(0, 3)
    ),
    max_size=12,
)
own_trials = st.lists(
    st.tuples(configs, st.integers(-9, 9).map(float), st.sampled_from(("ok", "stopped", "failed"))), max_size=8
).map(
    lambda items: [
        trial(number, config, None if status == "failed" else loss, status)
        for number, (config, loss, status) in enumerate(items)
    ]
)


# -- what is tried first


@settings(max_examples=60, deadline=None)
@given(known=known_trials, incumbent=configs, size=st.integers(1, 6))
def test_the_incumbent_is_first_then_the_best_by_rank_that_differ(
    known: list[KnownTrial], incumbent: Config, size: int
) -> None:
    assert list(portfolio(SPACE, known, incumbent, size)) == portfolio_twin(known, incumbent, size)


def portfolio_twin(known: Sequence[KnownTrial], incumbent: Config, size: int) -> list[Config]:
    """Walk the ranking; compare with all that were chosen before, parameter by parameter."""
    chosen: list[Config] = []
    for config in [incumbent, *(one.config for one in sorted((k for k in known if k.finished), key=lambda k: k.loss))]:
        gaps = [
            ((config["x"] - other["x"]) ** 2 + (config["y"] - other["y"]) ** 2 + (config["kind"] != other["kind"])) / 3
            for other in chosen
        ]
        if config["kind"] != "c" and all(gap**0.5 >= MIN_DISTANCE for gap in gaps) and len(chosen) < size:
            chosen.append(config)
    return chosen


def test_a_config_close_to_a_better_one_is_not_tried_first() -> None:
    known = [KnownTrial(config=at(x), loss=loss) for x, loss in ((0.5, 0.0), (0.55, 0.1), (0.9, 0.2), (0.1, 0.3))]
    assert [config["x"] for config in portfolio(SPACE, known, at(0.52), 3)] == [0.52, 0.9, 0.1]


def at(x: float) -> Config:
    return {"x": x, "y": 0.5, "kind": "a"}


# -- levels of two studies


@settings(max_examples=60, deadline=None)
@given(known=known_trials, own=own_trials)
def test_the_shift_is_the_median_over_configs_of_both(known: list[KnownTrial], own: list[Trial]) -> None:
    latest = {key(one.config): one.loss for one in known if one.finished}
    pairs = [
        one.loss - latest[key(one.config)]
        for one in own
        if one.status == "ok" and one.loss is not None and key(one.config) in latest
    ]
    assert level_shift(known, own) == (statistics.median(pairs) if pairs else None)


@settings(max_examples=60, deadline=None)
@given(known=known_trials, own=own_trials)
def test_what_the_next_study_knows(known: list[KnownTrial], own: list[Trial]) -> None:
    carried = carry_on(known, own)
    shift, losses = level_shift(known, own), measured_losses(own)
    mine = {key(one.config) for one in own if one.number in losses}
    for one in carried:
        if one.age == 0:
            assert key(one.config) in mine
        else:
            assert shift is not None
            assert key(one.config) not in mine
            assert any(
                one.loss == old.loss + shift and one.age == old.age + 1 and one.config == old.config for old in known
            )
    expected = mine | ({key(one.config) for one in known} if shift is not None else set())
    assert {key(one.config) for one in carried} == expected
    assert list(carried) == sorted(carried, key=lambda one: (one.age, one.loss))
    assert [KnownTrial.from_json(one.to_json()) for one in carried] == list(carried)


def test_the_youngest_are_carried_on() -> None:
    known = [KnownTrial(config=at(n / 200), loss=float(n), age=n % 2) for n in range(150)]
    carried = carry_on(known, [trial(0, at(0.0), 1.0)])
    assert len(carried) == MAX_CARRIED
    assert [one.age for one in carried[:77]] == [0, *[1] * 74, 2, 2]


@settings(max_examples=60, deadline=None)
@given(own=own_trials)
def test_a_stopped_trial_is_no_better_than_the_median_of_the_finished(own: list[Trial]) -> None:
    finished = [one.loss for one in own if one.status == "ok" and one.loss is not None]
    for number, loss in measured_losses(own).items():
        one = own[number]
        assert one.loss is not None
        if one.status == "ok" or not finished:
            assert loss == one.loss
        else:
            assert loss == max(one.loss, statistics.median(finished))


def test_only_what_the_space_still_has_is_known() -> None:
    known = [KnownTrial(config={**at(0.1), "kind": kind}, loss=0.0) for kind in "abc"]
    assert [one.config["kind"] for one in fitting(SPACE, known)] == ["a", "b"]


# -- the surrogate of both


def test_the_prior_holds_both_studies_for_alike() -> None:
    both = Space({**SPACE.parameters, TASK: Categorical(("known", "new"))})
    cube = Cube(both)
    F = cube.features(cube.encode([{**at(0.3), TASK: "known"}, {**at(0.3), TASK: "new"}]))
    assert ((F[0] - F[1]) ** 2).sum() == pytest.approx(1.0)
    for d in (4, 9):
        length = np.exp(Prior().moments(d)[0][0])
        assert 0.7 < matern(np.array([[1.0 / length**2]]), 1.0)[0, 0] < 0.95


def test_proposals_use_the_earlier_study_at_the_level_of_the_new_one() -> None:
    """The earlier losses are 100 higher. Unless they are moved, all of them seem bad, and nothing points to x = .7."""
    rng = np.random.default_rng(0)
    earlier = [KnownTrial(config=config, loss=100 + bowl(config)) for config in (sample(SPACE, rng) for _ in range(30))]
    tried = [trial(0, earlier[0].config, bowl(earlier[0].config)), trial(1, earlier[1].config, bowl(earlier[1].config))]
    searcher = TransferSearcher(SPACE, earlier, get_searcher("auto")(SPACE))
    proposed = [searcher.ask(tried, 1, np.random.default_rng(seed))[0] for seed in range(5)]
    scratch = [get_searcher("auto")(SPACE).ask(tried, 1, np.random.default_rng(seed))[0] for seed in range(5)]
    assert max(bowl(config) for config in proposed) < 0.05
    assert statistics.median(bowl(config) for config in scratch) > 0.05


def bowl(config: Config) -> float:
    return (float(config["x"]) - 0.7) ** 2 + (float(config["y"]) - 0.2) ** 2  # type: ignore[arg-type]


def test_a_study_that_misleads_is_outweighed_by_the_trials() -> None:
    rng = np.random.default_rng(1)
    drawn = [sample(SPACE, rng) for _ in range(30)]
    mirrored = [KnownTrial(config=c, loss=bowl({**c, "x": 1 - float(c["x"])})) for c in drawn]  # type: ignore[arg-type]
    first = portfolio(SPACE, mirrored, drawn[0], 3)
    searcher = TransferSearcher(SPACE, mirrored, get_searcher("auto")(SPACE))
    tried = [trial(number, config, bowl(config)) for number, config in enumerate(first)]
    for number in range(len(first), 16):
        config = searcher.ask(tried, 1, np.random.default_rng(number))[0]
        tried.append(trial(number, config, bowl(config)))
    assert min(bowl(one.config) for one in tried) < 0.01


def test_without_a_common_config_the_usual_searcher_proposes() -> None:
    known = [KnownTrial(config=at(0.5), loss=1.0)]
    usual = get_searcher("tpe")(SPACE)
    history = [trial(0, at(0.4), 0.0)]
    asked = TransferSearcher(SPACE, known, usual).ask(history, 2, np.random.default_rng(3))
    assert asked == get_searcher("tpe")(SPACE).ask(history, 2, np.random.default_rng(3))


class Informed(TransferSearcher):
    """Knows the first configs of the histories that the conformance suite draws, so that their levels compare."""

    def __init__(self, space: Space) -> None:
        rng = np.random.default_rng(1)
        known = [KnownTrial(config=sample(space, rng), loss=float(loss)) for loss in range(3)]
        super().__init__(space, known, get_searcher("tpe")(space))


class TestConformance(SearcherConformance):
    @pytest.fixture
    def make(self) -> SearcherFactory:
        return Informed


# -- in a study


@dataclass(frozen=True)
class Bowl:
    def fingerprint(self) -> str:
        return "bowl"

    def __call__(self, config: Config) -> Mapping[str, Any]:
        return {"loss": bowl(config)}


def study(journal: Path, trials: int, known: Sequence[KnownTrial]) -> StudyResult:
    first = portfolio(SPACE, known, known[0].config, 3)
    searcher = TransferSearcher(SPACE, known, get_searcher("auto")(SPACE))
    return run_study(SPACE, Bowl(), searcher, seed=1, journal_path=journal, trials=trials, warm_start=first)


def facts(result: StudyResult) -> list[Any]:
    return [(one.number, one.config, one.loss) for one in result.trials]


def test_a_journal_cut_anywhere_is_completed_to_the_same_study(tmp_path: Path) -> None:
    known = earlier_study()
    whole = study(tmp_path / "whole", 6, known)
    data = (tmp_path / "whole").read_bytes()
    for number, share in enumerate((0.1, 0.6, 0.93)):
        (tmp_path / f"cut {number}").write_bytes(data[: int(share * len(data))])
        assert facts(study(tmp_path / f"cut {number}", 6, known)) == facts(whole)


def earlier_study() -> list[KnownTrial]:
    rng = np.random.default_rng(2)
    return [KnownTrial(config=config, loss=3 + bowl(config)) for config in (sample(SPACE, rng) for _ in range(12))]


def test_other_known_trials_are_another_study(tmp_path: Path) -> None:
    known = earlier_study()
    study(tmp_path / "journal", 4, known)
    with pytest.raises(ConflictError, match="another study"):
        study(tmp_path / "journal", 4, [*known[:-1], KnownTrial(config=known[-1].config, loss=0.0)])
