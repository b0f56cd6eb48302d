"""Publishing is additive and idempotent, and Feast's own commands agree with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from feast.data_source import DataSource
from filelock import FileLock

from headrace.core.errors import ConflictError, DataError
from headrace.store.materialise import materialise, watermarks
from headrace.store.objects import feast_objects
from headrace.store.publish import publish, retire
from headrace.store.published import Published, View, published_path, read_published
from headrace.store.repo import PROJECT, open_store
from headrace.store.source import SynthesisSource
from headrace.synthesis.language.definitions import Direct, stored
from tests.store.world import START, World, aggregates, features, make_world, stored_features

TICK = START + 5 * 24 * 3_600_000_000


def registry_state(root: Path) -> dict[str, object]:
    """What Feast's registry holds, without the times at which it was touched."""
    store = open_store(root)
    views = store.list_feature_views()
    return {
        "views": {
            view.name: (sorted(field.name for field in view.schema), view.materialization_intervals) for view in views
        },
        "services": sorted(service.name for service in store.list_feature_services()),
        "entities": sorted(entity.name for entity in store.list_entities()),
    }


def test_twice_changes_nothing(world: World) -> None:
    publish(world.root, world.problem, features(), "all")
    materialise(world.root, world.problem, TICK)
    file = published_path(world.root, "harbour")
    before = (registry_state(world.root), watermarks(world.root, world.problem), file.stat().st_mtime_ns)
    assert all(intervals for _, intervals in before[0]["views"].values())  # type: ignore[attr-defined]
    publish(world.root, world.problem, features(), "all")
    after = (registry_state(world.root), watermarks(world.root, world.problem), file.stat().st_mtime_ns)
    assert after == before


def test_views_are_the_union_and_nothing_is_taken_away(world: World) -> None:
    publish(world.root, world.problem, stored_features("boat"), "first")
    publish(world.root, world.problem, stored_features("berth"), "second")
    published = read_published(world.root, "harbour")
    assert set(published.services) == {"first", "second"}
    assert {view.name: view.definitions for view in published.views} == {
        "harbour__boat": stored_features("boat"),
        "harbour__berth": stored_features("berth"),
    }
    state = registry_state(world.root)
    assert state["services"] == ["harbour__first", "harbour__second"]
    assert set(state["views"]) == {"harbour__boat", "harbour__berth"}  # type: ignore[call-overload]


def test_a_damaged_online_store_does_not_keep_a_service_from_being_published(world: World) -> None:
    publish(world.root, world.problem, stored_features("boat"), "first")
    materialise(world.root, world.problem, TICK)
    (world.root / "store" / "online.db").write_bytes(b"damaged")
    publish(world.root, world.problem, stored_features("berth"), "second")
    assert set(materialise(world.root, world.problem, TICK)) == {"harbour__boat", "harbour__berth"}


def test_a_writer_that_waits_in_vain_is_told_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.store.repo.LOCK_TIMEOUT_S", 0.01)
    (world.root / "store").mkdir(exist_ok=True)
    with (
        FileLock(world.root / "store" / "writer.lock"),
        pytest.raises(ConflictError, match=r"another process has written the store.*do it again"),
    ):
        publish(world.root, world.problem, features(), "all")


def test_problems_do_not_touch_each_other(world: World) -> None:
    other = make_world(world.root.parent, "lagoon")
    publish(world.root, world.problem, features(), "all")
    materialise(world.root, world.problem, TICK)
    before = registry_state(world.root)["views"]
    publish(other.root, other.problem, features(), "all")
    materialise(other.root, other.problem, TICK)
    after = registry_state(world.root)
    assert {name: view for name, view in after["views"].items() if name.startswith("harbour")} == before  # type: ignore[attr-defined]
    assert after["services"] == ["harbour__all", "lagoon__all"]


def test_retiring_takes_only_what_nobody_else_uses(world: World) -> None:
    other = make_world(world.root.parent, "lagoon")
    publish(other.root, other.problem, features(), "all")
    publish(world.root, world.problem, stored_features("boat"), "old")
    publish(world.root, world.problem, [*stored_features("boat")[:2], *stored_features("berth")], "new")
    materialise(world.root, world.problem, TICK)
    retire(world.root, world.problem, keep=["new"])
    published = read_published(world.root, "harbour")
    assert list(published.services) == ["new"]
    assert published.view("harbour__boat").definitions == stored_features("boat")[:2]
    retire(world.root, world.problem, keep=[])
    state = registry_state(world.root)
    assert state["services"] == ["lagoon__all"]
    assert all(name.startswith("lagoon__") for name in state["views"])  # type: ignore[attr-defined]
    assert watermarks(world.root, world.problem) == {}


def test_what_is_written_is_read_back_equal(world: World) -> None:
    made = publish(world.root, world.problem, features(), "all", reference="elsewhere")
    assert read_published(world.root, "harbour") == made
    assert made.reference == str(world.path)
    assert made.key_types == {"boat": "string", "berth": "int64"}
    assert [item.name for item in made.service("all")] == [item.name for item in features()]


def test_two_definitions_cannot_share_a_column() -> None:
    one = Direct(entity="boat", table="boats", column="length", kind="numeric")
    other = Direct(entity="boat", table="boats", column="Length", kind="numeric")
    view = View(name="p__boat", entity="boat", join_keys=("boat",), definitions=(one,))
    published = Published(problem="p", reference="p", tick_us=1, key_types={"boat": "string"}, views=(view,))
    from headrace.schema import EntitySet, Problem, Relationship, Table, each_row

    boats, stays = Table(name="boats", key="boat", source="b"), Table(name="stays", key="s", time="t", source="s")
    problem = Problem(
        name="p",
        entity_set=EntitySet(tables=(boats, stays), relationships=(Relationship("boats.boat", "stays.boat"),)),
        spine=each_row("stays", cutoff="t"),
        label="fee >= 1",
    )
    with pytest.raises(ConflictError, match="share the column 'boat_boats_length'"):
        published.with_service(problem, "s", [other])


def test_the_source_survives_feasts_registry() -> None:
    source = SynthesisSource(name="p__boat", problem="p", entity="boat", description="boats")
    again = DataSource.from_proto(source.to_proto())
    assert isinstance(again, SynthesisSource)
    assert (again, hash(again)) == (source, hash(source))
    assert again != SynthesisSource(name="p__boat", problem="q", entity="boat", description="boats")


def test_the_source_knows_its_columns(published_world: World) -> None:
    store = open_store(published_world.root)
    source = store.get_data_source("harbour__boat_berth")
    columns = dict(source.get_table_column_names_and_types(store.config))
    assert columns["berth"] == "int64"
    assert columns["boat_berth_mode_stays_weather_7d_by_boat_berth"] == "string"
    assert columns["boat_berth_last_time_stays_by_boat_berth"] == "int64"
    source.validate(store.config)


def test_a_join_key_that_no_table_carries_is_named(world: World) -> None:
    from dataclasses import replace

    from headrace.schema import Entity

    broken = replace(world.problem, entities=(Entity(name="pier", join_keys=("pier",)),))
    with pytest.raises(DataError, match=r"harbour\.stays: no join key column 'pier'.*found: .*berth"):
        publish(world.root, broken, aggregates("boat", ("boat",)), "all")


def test_objects_carry_display_names_and_ticks(published_world: World) -> None:
    published = read_published(published_world.root, "harbour")
    views = {item.name: item for item in feast_objects(published) if hasattr(item, "ttl")}
    view = views["harbour__boat"]
    names = {field.name: field.description for field in view.schema}
    assert names["boat_mean_stays_fee_7d_by_boat"] == "boat.MEAN(stays.fee, 7d by boat)"
    assert (view.tags["tick"], view.ttl.total_seconds(), view.online) == ("1h", 0, True)
    assert sum(len(item.features) for item in views.values()) == len(stored(features()))


def test_feast_plan_works_before_anything_is_published(feast: Callable[..., str]) -> None:
    assert "harbour" not in feast("plan")


def test_feast_plan_and_apply_find_nothing_to_change(world: World, feast: Callable[..., str]) -> None:
    publish(world.root, world.problem, features(), "all")
    materialise(world.root, world.problem, TICK)
    before = (registry_state(world.root), watermarks(world.root, world.problem))
    plan = feast("plan")
    assert not [line for line in plan.splitlines() if line.startswith(("Created", "Updated", "Deleted"))], plan
    feast("apply")
    assert (registry_state(world.root), watermarks(world.root, world.problem)) == before
    assert "harbour__boat_berth" in feast("feature-views", "list")


def test_feast_apply_restores_a_lost_registry(world: World, feast: Callable[..., str]) -> None:
    publish(world.root, world.problem, features(), "all")
    before = registry_state(world.root)
    (world.root / "store" / "registry.db").unlink()
    plan = feast("plan")
    assert "harbour__boat_berth" in plan
    feast("apply")
    assert registry_state(world.root) == before


def test_feast_materialises_by_hand(world: World, feast: Callable[..., str]) -> None:
    publish(world.root, world.problem, features(), "all")
    feast("materialize", "2024-03-05T00:00:00", "2024-03-06T00:00:00")
    assert {mark.tick_us for mark in watermarks(world.root, world.problem).values()} == {TICK}


def test_the_yaml_and_the_code_say_the_same(world: World, feast: Callable[..., str]) -> None:
    from feast import FeatureStore

    publish(world.root, world.problem, features(), "all")
    manual, ours = FeatureStore(".").config, open_store(world.root).config
    assert manual.project == ours.project == PROJECT
    for name in ("type", "registry_type", "cache_ttl_seconds", "cache_mode"):
        for part in ("offline_store", "online_store", "registry"):
            assert getattr(getattr(manual, part), name, None) == getattr(getattr(ours, part), name, None)
    assert manual.batch_engine_config == ours.batch_engine_config
    assert manual.materialization_config == ours.materialization_config
    assert manual.entity_key_serialization_version == ours.entity_key_serialization_version
