"""The tiny problem with everything that can be asked of synthesis, from its file to an answer: trained as served."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from headrace.core.clock import MINUTE, iso
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.pipeline.production.definitions import read_definitions
from headrace.pipeline.production.feature_matrix import feature_matrix
from headrace.pipeline.stages.select import SELECT
from headrace.prediction_log.log import PredictionLog
from headrace.serving.service import open_service
from headrace.store.materialise import materialise
from headrace.store.online import OnlineStore
from headrace.store.publish import publish
from headrace.store.training import training_features
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, leaves, stored
from headrace.synthesis.language.inputs import relative
from tests.pipeline.shop import Shop
from tests.pipeline.turned import context_of, live
from tests.tiny_problem import write_tiny_problem

pytestmark = pytest.mark.slow

ASKED = """    lookbacks=("1d", "7d"),
    depth=2,
    where={"orders.channel": "auto"},
    groupby=("orders.channel",),
    primitives=("n_most_common", "decayed_sum_7d", "last_true_time", "trend"),
    seed_features=("orders.RATIO(refunded_amount, amount)",),
    exclude=("*.SKEW(*", "*.STD(*", "*.MIN(*"),
"""


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A run, and one day of its feed."""
    folder = tmp_path_factory.mktemp("deep")
    path = write_tiny_problem(folder / "problem", orders=400, replayed_days=1)
    path.write_text(path.read_text().replace('    lookbacks=("1d", "7d"),\n', ASKED))
    shop = Shop(path=path, home=folder / "home")
    shop.finish()
    return shop


def clock_of(shop: Shop) -> int:
    clock = Lake(shop.home, "shop").clock()
    assert clock is not None
    return clock


def stage_of(shop: Shop, name: str) -> tuple[Definition, ...]:
    (folder,) = (path.parent for path in (shop.home / "stages" / "shop" / name).glob("*/definitions.json"))
    return read_definitions(folder / "definitions.json")


def is_deep(definition: Definition) -> bool:
    return any(isinstance(leaf, Aggregate | Direct) and relative(leaf) for leaf in leaves(definition))


def requests(clock: int) -> list[dict[str, Any]]:
    """An order of every customer, a minute after the clock, and one of somebody unknown."""
    return [
        {"order_id": 10_000 + number, "customer_id": f"c{number:02d}", "placed": clock, "amount": 20.0 + number,
         "channel": ("web", "shop", "phone")[number % 3]}
        for number in range(21)
    ]  # fmt: skip


def spine_of(context: Context, rows: list[dict[str, Any]], cutoff: int) -> pa.Table:
    """The same rows as training would ask for them."""
    tick = cutoff - cutoff % context.problem.tick_us
    asked = pa.Table.from_pylist(rows)
    placed = asked["placed"].cast(pa.timestamp("us", tz="UTC"))
    asked = asked.set_column(asked.column_names.index("placed"), "placed", placed)
    for name, value in (("cutoff", cutoff), ("tick", tick)):
        asked = asked.append_column(name, pa.array([value] * len(rows), type=pa.int64()))
    return asked


def test_an_answer_is_made_of_what_training_reads(deep: Shop) -> None:
    context, clock = context_of(deep), clock_of(deep)
    rows, cutoff = requests(clock), clock + MINUTE
    kept = stage_of(deep, "select")
    assert any(map(is_deep, kept))
    service = open_service(deep.home, context.problem, context.tracking_uri, lambda: clock)
    service.follower.refresh()
    answers = service.predictor.predict([{**row, "placed": iso(clock)} for row in rows], now_us=cutoff)
    service.log.close()
    with PredictionLog(deep.home, "shop") as log:
        logged = {row.id: row.features for row in log.read()}
    trained = feature_matrix(context, deep.run().output(SELECT).service, kept, spine_of(context, rows, cutoff))
    for answer, values in zip(answers, trained.to_pylist(), strict=True):
        assert {slug: logged[answer.id][slug] for slug in values} == values


def test_every_candidate_is_served_as_trained_and_nothing_later_matters(deep: Shop) -> None:
    context, clock = context_of(deep), clock_of(deep)
    rows, every = requests(clock), stage_of(deep, "synthesise")
    names = " ".join(item.name for item in every)
    for sort in ("WHERE channel = ", "CUM_MEAN(amount by channel)", "N_MOST_COMMON", "DECAY_7D(", "TREND(", "RATIO("):
        assert sort in names
    spine = spine_of(context, rows, clock + MINUTE)
    publish(deep.home, context.problem, every, "every")
    materialise(deep.home, context.problem, clock)
    served = OnlineStore(deep.home, context.problem).read("every", rows, clock)
    trained = training_features(deep.home, context.problem, "every", spine)
    for item in stored(every):
        assert [row.values[item.slug] for row in served] == trained[item.slug].to_pylist(), item.name
    live(context, 2)  # two days of orders, and what the orders before turned out to be
    again = training_features(deep.home, context.problem, "every", spine)
    assert clock_of(deep) > clock
    assert again.equals(trained)
