"""A world that turns, lived through: what is history of it afterwards, and its picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headrace.core.clock import DAY, to_us
from headrace.evaluate.metrics import METRICS
from headrace.monitor.outbox.outbox import Outbox
from headrace.pipeline.context import Context
from headrace.replay.figure import draw_history, mark_of
from headrace.replay.history import LabelledPredictions, ProductionHistory, production_history
from tests.pipeline.shop import Shop
from tests.pipeline.turned import context_of, live, look, wall_us, write_turned

pytestmark = pytest.mark.slow

SINCE = to_us("2024-02-10")


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Context:
    folder = tmp_path_factory.mktemp("turned")
    shop = Shop(path=write_turned(folder / "problem"), home=folder / "home")
    shop.finish()
    context = context_of(shop)
    live(context, 17)
    look(context)
    return context


@pytest.fixture(scope="module")
def history(turned: Context) -> ProductionHistory:
    return production_history(turned, since_us=SINCE)


def test_days_and_weeks_follow_each_other(history: ProductionHistory) -> None:
    assert [one.start_us for one in history.days] == list(range(SINCE, SINCE + 18 * DAY, DAY))
    assert all(one.end_us - one.start_us == 7 * DAY for one in history.weeks)
    assert len(history.weeks) == 12
    assert sum(one.rows for one in history.days) > 200


def test_the_turn_is_seen_in_the_weeks(history: ProductionHistory) -> None:
    last = [one.value for one in history.weeks if one.value is not None][-1]
    (champion,) = history.champions
    assert champion.expected is not None
    assert last < champion.expected - 0.2


def test_what_was_decided_is_there_with_its_outcome(turned: Context, history: ProductionHistory) -> None:
    (seen,) = history.decisions
    assert (seen.kind, seen.outcome, seen.measured, mark_of(seen)) == ("retrain", None, True, "open")
    assert "auc" in seen.other
    outbox = Outbox(turned.root, "shop")
    claim = outbox.claim(seen.decision, "test", now_us=wall_us())
    assert claim is not None
    outbox.finish(claim, "refused", "worse", now_us=wall_us())
    (after,) = production_history(turned, since_us=SINCE).decisions
    assert (after.outcome, mark_of(after)) == ("refused", "refused")


def test_a_day_without_two_classes_or_with_few_labels_is_not_measured() -> None:
    one_class = LabelledPredictions(
        cutoffs_us=np.zeros(50, dtype=np.int64), label=np.ones(50), prediction=np.linspace(0, 1, 50)
    ).measure("auc", 0, 1)
    assert (one_class.rows, one_class.labelled, one_class.value) == (50, 50, None)
    label = np.array([0.0, 1.0] * 20 + [np.nan] * 10)
    prediction = np.linspace(0, 1, 50)
    some = LabelledPredictions(cutoffs_us=np.zeros(50, dtype=np.int64), label=label, prediction=prediction)
    assert some.measure("auc", 0, 1).value == METRICS["auc"].value(label[:40], prediction[:40])
    assert some.measure("auc", 1, 2).value is None
    few = LabelledPredictions(cutoffs_us=np.zeros(4, dtype=np.int64), label=label[:4], prediction=prediction[:4])
    assert few.measure("auc", 0, 1).value is None


def test_a_figure_is_drawn_of_any_history(history: ProductionHistory, tmp_path: Path) -> None:
    outcomes = ("promoted", "not comparable", "something new", None)
    decisions = [
        replace(history.decisions[0], at_us=SINCE + (9 + i) * DAY, outcome=one) for i, one in enumerate(outcomes)
    ]
    for number, shown in enumerate(
        [history, replace(history, decisions=tuple(decisions)), replace(history, weeks=(), decisions=(), days=())]
    ):
        path = draw_history(shown, tmp_path / f"{number}.png")
        assert path.read_bytes().startswith(b"\x89PNG")
        assert 5_000 < path.stat().st_size < 150_000
