"""Services of versions that can no longer be champion leave the store; a person can bring one back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headrace.pipeline.context import Context
from headrace.pipeline.operations.release import promote_by_hand
from headrace.pipeline.production.champion import version_bundle
from headrace.pipeline.production.feed import current_tick
from headrace.pipeline.stages.promote import PROMOTE
from headrace.pipeline.stages.retire import RETIRE
from headrace.pipeline.walker import PipelineRun
from headrace.registry.ledger import Ledger
from headrace.store.materialise import online_is_current
from headrace.store.published import read_published
from tests.pipeline.shop import Shop

pytestmark = pytest.mark.slow


def services(context: Context) -> set[str]:
    return set(read_published(context.root, context.problem.name).services)


def few_features(shop: Shop, number: int) -> PipelineRun:
    """A run that selects so many features, whose version is refused for it."""
    context = shop.run(trials=1).context
    return PipelineRun(replace(context, problem=replace(context.problem, max_features=number, margin=0.0)))


def test_a_refused_version_that_is_challenger_no_more_is_retired_and_comes_back_by_hand(copy: Shop) -> None:
    context = copy.run().context
    of_champion = version_bundle(context, "1").service
    second, third = few_features(copy, 4), few_features(copy, 6)
    second.complete()
    assert not second.output(PROMOTE).promoted
    of_second = version_bundle(context, "2").service
    assert services(context) == {of_champion, of_second}  # version 2 is challenger
    third.complete()
    of_third = version_bundle(context, "3").service
    assert third.output(RETIRE).retired == (of_second,)
    assert services(context) == {of_champion, of_third}
    assert online_is_current(context.root, context.problem, current_tick(context))
    promote_by_hand(context, "2", "a test")
    assert services(context) == {of_champion, of_second, of_third}
    assert online_is_current(context.root, context.problem, current_tick(context))
    again = few_features(copy, 6)
    again.complete()
    assert services(context) == {of_champion, of_second, of_third}  # a rollback may bring version 1 back


def test_versions_that_may_be_champion_without_a_person(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "p")
    assert ledger.eligible() == frozenset()
    for version, before in (("1", None), ("2", "1"), ("3", "2")):
        ledger.promote(version, before, "the gate", {}, at_us=1)
    ledger.record_metrics("4", {})
    ledger.set_challenger("5")
    assert ledger.eligible() == {"1", "2", "3", "5"}
    ledger.rollback(at_us=2)
    ledger.set_challenger(None)
    assert ledger.eligible() == {"1", "2"}  # version 3 is barred


def test_nothing_is_retired_where_a_bundle_cannot_be_read(copy: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.core.errors import NotFoundError
    from headrace.pipeline.stages import retire
    from headrace.store.publish import publish

    context = copy.run().context
    definitions = version_bundle(context, "1").definitions
    publish(context.root, context.problem, definitions[:1], "unused", reference=context.reference)
    before = services(context)

    def lost(*_: object) -> None:
        raise NotFoundError("no version 1")

    monkeypatch.setattr(retire, "version_bundle", lost)
    copy.run().run_stage("retire")
    assert services(context) == before
    monkeypatch.undo()
    output = RETIRE.output(retained=(), retired=())
    assert RETIRE.effects_exist is not None
    assert not RETIRE.effects_exist(context, output)
