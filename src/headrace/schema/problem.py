"""A problem: what to predict, from which tables, at which instants, and how fresh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import Literal

from headrace.core.clock import parse_duration, to_us
from headrace.core.errors import DeclarationError
from headrace.core.names import LONGEST_PROBLEM, check_name
from headrace.schema.entity import Entity
from headrace.schema.entity_set import EntitySet
from headrace.schema.expressions import LabelExpression, TimeExpression
from headrace.schema.horizon import HorizonLabel, parse_label
from headrace.schema.monitoring import Monitoring
from headrace.schema.table import Table

_BINARY = ("auc", "average_precision", "log_loss", "brier")
METRICS = (*_BINARY, "rmse", "mae")
#: What the tune and gate windows may take of the rows together.
MOST_JUDGED = 0.6
#: Values of `where` that are chosen from the data.
AUTO: Literal["auto"] = "auto"
_TUPLES = ("lookbacks", "entities", "ignore", "groupby", "primitives", "seed_features", "include", "exclude")


@dataclass(frozen=True, kw_only=True)
class EachRow:
    """A spine of one row per row of a table; its cutoff is a time expression over that row."""

    table: str
    cutoff: str


def each_row(table: str, *, cutoff: str) -> EachRow:
    """Predict once for every row of a table, at the instant `cutoff`."""
    return EachRow(table=table, cutoff=cutoff)


#: The column of a scheduled spine that holds its cutoffs (int64 us); with the entity's key it names a row.
DUE = "due"


@dataclass(frozen=True, kw_only=True)
class Every:
    """A spine on a schedule: at every whole multiple of `step` since 1970, each entity that was active.

    entity: the table that holds the entities, by its one key column. active: the table of which a row of that entity
    must have become known in [cutoff - within, cutoff).
    """

    step: str
    entity: str
    active: str
    within: str

    @property
    def table(self) -> str:
        """What the rows of this spine are called. No table of that name lies in the lake."""
        return f"{self.entity}_every_{self.step}"

    @property
    def step_us(self) -> int:
        return parse_duration(self.step)

    @property
    def within_us(self) -> int:
        return parse_duration(self.within)


def every(step: str, entity: str, *, active: str, within: str | None = None) -> Every:
    """Predict on a schedule, for each entity with a row of `active` in the time `within` before (one step at least)."""
    return Every(step=step, entity=entity, active=active, within=within if within is not None else step)


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A feed replayed from history: rows up to `start` are the bootstrap load, then one batch per `step`.

    The production clock of a replayed problem starts at `start` and each scheduled ingest moves it by one step.
    steps: how many steps the main job replays after deployment, to measure the model in production.
    """

    start: str
    step: str = "1d"
    steps: int = 31

    def __post_init__(self) -> None:
        try:
            self.start_us, self.step_us  # noqa: B018  validates both
        except (ValueError, TypeError, AttributeError):
            raise DeclarationError(
                f"start={self.start!r} is no instant",
                where="feed",
                fix='write it as "2024-02-01" or "2024-02-01T06:00:00Z"',
            ) from None
        if not isinstance(self.steps, int) or self.steps < 0:
            raise DeclarationError(f"steps={self.steps!r}", where="feed", fix="give how many steps are lived through")

    @property
    def start_us(self) -> int:
        return to_us(self.start)

    @property
    def step_us(self) -> int:
        return parse_duration(self.step)

    @property
    def end_us(self) -> int:
        """Where the main job's replay ends."""
        return self.start_us + self.steps * self.step_us


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Everything a user writes. Validated once, here; what needs the data is checked by `headrace check`.

    entities: composite entities; one entity per relationship into the spine's table comes by itself, named after
    its column. ignore: "table.column" patterns that are never features.
    depth: how many levels a feature may stack, 1 to 3. where: "table.column" -> values that aggregates are
    restricted to, or "auto" for frequent ones (of a column, or alone: of all). groupby: "table.column"s, by each of
    which rows get running values (it needs depth 2). primitives: names of those offered besides the usual ones.
    seed_features: transforms of a table's columns that are treated as columns, "orders.RATIO(paid, amount)". include,
    exclude: patterns of feature names (* and ?): only these, none of those. max_candidates: how many features are
    tried. max_features: how many selection may keep.
    trials: size of the search. search_seconds: wall clock of the search (one that the clock ends is not reproducible).
    trial_seconds, trial_memory_mb: wall clock and memory of each trial. searcher: who proposes configurations (a name
    in `headrace.search.searchers`). margin: how much worse than the champion a refresh may be (in the metric).
    tune_share, gate_share: of the rows with a label, the newest gate_share judge what is promoted, and the tune_share
    before them what is chosen; the rest, and the tune rows in the end, teach.
    monitoring: how production is watched.
    """

    name: str
    entity_set: EntitySet
    spine: EachRow | Every
    label: str
    metric: str = "auc"
    lookbacks: tuple[str, ...] = ("1d", "7d", "30d")
    tick: str = "15min"
    entities: tuple[Entity, ...] = ()
    ignore: tuple[str, ...] = ()
    depth: int = 1
    where: Mapping[str, tuple[str | float | bool, ...] | Literal["auto"]] | Literal["auto"] = field(
        default_factory=dict
    )
    groupby: tuple[str, ...] = ()
    primitives: tuple[str, ...] = ()
    seed_features: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_candidates: int = 1000
    feed: Replay | None = None
    max_features: int = 120
    trials: int = 16
    search_seconds: float | None = None
    trial_seconds: float | None = None
    trial_memory_mb: float | None = None
    searcher: str = "auto"
    margin: float = 0.002
    tune_share: float = 0.15
    gate_share: float = 0.10
    monitoring: Monitoring = field(default_factory=Monitoring)
    path: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name in _TUPLES:
            if isinstance(getattr(self, name), str):
                raise DeclarationError(
                    f"{name}={getattr(self, name)!r} is one text",
                    where=str(self.name),
                    fix="give a list, with brackets",
                )
            object.__setattr__(self, name, tuple(getattr(self, name)))
        check_name(self.name, "a problem", LONGEST_PROBLEM, ascii_only=True)
        self._check_types()
        if self.metric not in METRICS:
            raise DeclarationError(f"no metric {self.metric!r}", where=self.name, found=METRICS)
        for name in ("trials", "search_seconds", "trial_seconds", "trial_memory_mb"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise DeclarationError(f"{name}={limit} lets no trial run", where=self.name, fix="give more than zero")
        self._check_shares()
        self._check_synthesis()
        self.tick_us, self.lookbacks_us  # noqa: B018  validates both
        if (self.metric in _BINARY) != self.label_expression.binary:
            kind = "true or false" if self.label_expression.binary else "a number"
            raise DeclarationError(
                f"metric {self.metric!r} does not measure a label that is {kind}",
                where=self.name,
                found=[name for name in METRICS if (name in _BINARY) == self.label_expression.binary],
                fix="name one of these metrics, or write the label as a condition, as in 'arr_delay >= 15'",
            )
        if isinstance(self.spine, Every):
            self._check_schedule(self.spine)
        elif self.spine_table.time is None:
            raise DeclarationError("the spine's table has no time", where=f"{self.name}.{self.spine.table}")
        self.cutoff  # noqa: B018  validates it
        if isinstance(self.label_expression, HorizonLabel):
            self._check_horizon(self.label_expression)
        names = [entity.name for entity in self.all_entities]
        if len(set(names)) < len(names):
            raise DeclarationError("two entities share a name", where=self.name, found=names)

    def _check_types(self) -> None:
        """What Python itself does not check, and what would be found out much later, or by a traceback."""
        wanted: dict[str, tuple[type | UnionType, str]] = {
            "entity_set": (EntitySet, "EntitySet(tables=[...])"),
            "spine": (EachRow | Every, 'each_row("orders", cutoff="placed")'),
            "feed": (Replay | None, 'Replay(start="2024-02-01")'),
            "monitoring": (Monitoring, 'Monitoring(window="7d")'),
            "label": (str, "a text"),
            "margin": (int | float, "a number"),
            "depth": (int, "a whole number"),
            "trials": (int, "a whole number"),
            "max_features": (int, "a whole number"),
            "max_candidates": (int, "a whole number"),
        }
        for name, (kind, example) in wanted.items():
            value = getattr(self, name)
            if not isinstance(value, kind) or isinstance(value, bool):
                raise DeclarationError(f"{name}={value!r}", where=self.name, fix=f"give {example}")
        for name in ("search_seconds", "trial_seconds", "trial_memory_mb"):
            if not isinstance(getattr(self, name), int | float | None):
                raise DeclarationError(f"{name}={getattr(self, name)!r}", where=self.name, fix="give a number")
        if self.max_features < 1:
            raise DeclarationError(f"max_features={self.max_features} leaves no feature", where=self.name)

    def _check_shares(self) -> None:
        for name in ("tune_share", "gate_share"):
            share = getattr(self, name)
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
                raise DeclarationError(
                    f"{name}={share!r} is no share of the rows", where=self.name, fix="give a number between 0 and 1"
                )
        if round(self.tune_share + self.gate_share, 9) > MOST_JUDGED:  # .4 and .2 are .6
            raise DeclarationError(
                f"tune_share={self.tune_share} and gate_share={self.gate_share} leave too few rows to learn from",
                where=self.name,
                fix=f"give shares that add up to {MOST_JUDGED} at most",
            )

    def _check_schedule(self, spine: Every) -> None:
        where = f"{self.name}: spine every {spine.step}"
        spine.step_us, spine.within_us  # noqa: B018  validates both
        keys, active = self.entity_set.table(spine.entity).keys, self.entity_set.table(spine.active)
        if len(keys) != 1 or keys == (DUE,):
            raise DeclarationError(f"a schedule needs one key column, not called {DUE!r}", where=where, found=keys)
        if active.time is None or self._link(spine.entity, spine.active) is None:
            raise DeclarationError(
                f"{spine.active} does not tell when one of {spine.entity} was active",
                where=where,
                fix=f"name a table with a time and a relationship from {spine.entity}.{keys[0]}",
            )
        if not isinstance(self.label_expression, HorizonLabel):
            raise DeclarationError(
                f"a scheduled row has no column {self.label_expression.column!r}",
                where=where,
                fix='write the label with a horizon, as in count("orders", horizon="30d") > 0',
            )

    def _check_horizon(self, label: HorizonLabel) -> None:
        if self.entity_set.table(label.table).time is None:
            raise DeclarationError(
                "a label with a horizon over a table without time",
                where=f"{self.name}.{label.table}",
                fix="declare time=",
            )
        parent = self.label_entity(label)[0].parent
        assert parent is not None  # what a label is about has a table
        if label.until is not None and label.until not in self.entity_set.table(parent[0]).known_at:
            raise DeclarationError(
                f"until={label.until!r} is not declared as known later than its row",
                where=f"{self.name}.{parent[0]}",
                fix=f'declare known_at={{"{label.until}": "{label.until}"}}, so that no feature sees it before',
            )

    def _link(self, parent: str, child: str) -> str | None:
        """The column of a table that points to a parent."""
        found = [r.child_column for r in self.entity_set.children(parent) if r.child_table == child]
        return found[0] if found else None

    def schedule_link(self, spine: Every) -> str:
        """The column by which a row of a schedule's active table names its entity."""
        link = self._link(spine.entity, spine.active)
        assert link is not None  # checked at declaration
        return link

    def label_entity(self, label: HorizonLabel) -> tuple[Entity, tuple[str, ...]]:
        """The entity that a label with a horizon is about, and the columns of its table that hold the join keys."""
        found = [
            (entity, (link,))
            for entity in self.all_entities
            if entity.parent is not None
            and label.by in (None, entity.name)
            and (link := self._link(entity.parent[0], label.table)) is not None
        ]
        if len(found) != 1:
            raise DeclarationError(
                f"{len(found)} entities have rows in {label.table!r}" + (f" by {label.by!r}" if label.by else ""),
                where=f"{self.name}: label",
                found=[entity.name for entity, _ in found] or [entity.name for entity in self.all_entities],
                fix='declare the relationship, or name the entity: by="customer_id"',
            )
        return found[0]

    def _check_synthesis(self) -> None:
        if self.depth not in (1, 2, 3):
            raise DeclarationError(f"depth={self.depth} is not from 1 to 3", where=self.name)
        if self.max_candidates < 1:
            raise DeclarationError(f"max_candidates={self.max_candidates} leaves no feature", where=self.name)
        if self.groupby and self.depth < 2:
            raise DeclarationError("groupby without depth", where=self.name, fix="declare depth=2: they are aggregated")
        where = {} if self.where == AUTO else self.where
        if isinstance(where, str):
            raise DeclarationError(f"where={where!r}", where=self.name, fix='give columns and their values, or "auto"')
        for name in (*where, *self.groupby):
            if name.count(".") != 1:
                raise DeclarationError(f"{name!r} is not table.column", where=self.name)
            self.entity_set.table(name.split(".")[0])
        for name, values in where.items():
            if values != AUTO and (isinstance(values, str) or not values):
                raise DeclarationError(f"where={name!r} needs a list of values", where=self.name, found=[values])

    @property
    def spine_table(self) -> Table:
        """The table whose rows are predicted; of a scheduled spine what its rows would be declared as."""
        if isinstance(self.spine, Every):
            key = self.entity_set.table(self.spine.entity).keys[0]
            return Table(name=self.spine.table, key=(key, DUE), time=DUE, source="-")
        return self.entity_set.table(self.spine.table)

    @property
    def carrier(self) -> str:
        """The declared table that holds the join keys: the spine's own, or that of a schedule's entities."""
        return self.spine.entity if isinstance(self.spine, Every) else self.spine.table

    @property
    def cutoff(self) -> TimeExpression:
        return TimeExpression.parse(DUE if isinstance(self.spine, Every) else self.spine.cutoff)

    @property
    def label_expression(self) -> LabelExpression | HorizonLabel:
        return parse_label(self.label)

    @property
    def label_is_foreknown(self) -> bool:
        """Whether the label's column is declared as known at the cutoff, where there is nothing left to predict."""
        label, table = self.label_expression, self.spine_table
        known = table.column_known(label.column) if label.column else None
        if known is None or known.column != self.cutoff.column:
            return False
        delay_us = parse_duration(table.resolution) if table.resolution else 0
        return known.offset_us + delay_us <= self.cutoff.offset_us

    @property
    def history_tables(self) -> tuple[str, ...]:
        """The tables without which no row can be predicted or judged."""
        label = self.label_expression
        found = [self.spine.entity, self.spine.active] if isinstance(self.spine, Every) else [self.spine.table]
        if isinstance(label, HorizonLabel):
            parent = self.label_entity(label)[0].parent if label.until is not None else None
            found += [label.table, *([parent[0]] if parent is not None else [])]
        return tuple(dict.fromkeys(found))

    @property
    def tick_us(self) -> int:
        return parse_duration(self.tick)

    @property
    def lookbacks_us(self) -> tuple[int, ...]:
        return tuple(parse_duration(text) for text in self.lookbacks)

    @cached_property
    def all_entities(self) -> tuple[Entity, ...]:
        """Declared entities after those that relationships into the spine's table imply, or a schedule names."""
        if isinstance(self.spine, Every):
            key = self.entity_set.table(self.spine.entity).keys[0]
            return (Entity(name=key, join_keys=(key,), parent=(self.spine.entity, key)), *self.entities)
        implied = tuple(
            Entity(
                name=relationship.child_column,
                join_keys=(relationship.child_column,),
                parent=(relationship.parent_table, relationship.parent_column),
            )
            for relationship in self.entity_set.parents(self.spine.table)
        )
        return implied + self.entities

    def entity(self, name: str) -> Entity:
        """The entity of that name."""
        for entity in self.all_entities:
            if entity.name == name:
                return entity
        raise DeclarationError(
            f"no entity {name!r}", where=self.name, found=[entity.name for entity in self.all_entities]
        )

    def ignores(self, table: str, column: str) -> bool:
        """Whether a column is kept out of all features."""
        return f"{table}.{column}" in self.ignore

    @property
    def join_keys(self) -> tuple[str, ...]:
        """Every column a prediction request must carry to find its entities."""
        return tuple(dict.fromkeys(key for entity in self.all_entities for key in entity.join_keys))
