"""A problem: what to predict, from which tables, at which instants, and how fresh."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from headrace.core.clock import parse_duration, to_us
from headrace.core.errors import DeclarationError
from headrace.schema.entity import Entity
from headrace.schema.entity_set import EntitySet
from headrace.schema.expressions import LabelExpression, TimeExpression
from headrace.schema.table import Table

METRICS = ("auc", "log_loss", "rmse")
_BINARY = ("auc", "log_loss")


@dataclass(frozen=True, kw_only=True)
class EachRow:
    """A spine of one row per row of a table; its cutoff is a time expression over that row."""

    table: str
    cutoff: str


def each_row(table: str, *, cutoff: str) -> EachRow:
    """Predict once for every row of a table, at the instant `cutoff`."""
    return EachRow(table=table, cutoff=cutoff)


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
        to_us(self.start)
        parse_duration(self.step)

    @property
    def start_us(self) -> int:
        return to_us(self.start)

    @property
    def step_us(self) -> int:
        return parse_duration(self.step)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Everything a user writes. Validated once, here; what needs the data is checked by `headrace check`.

    entities: composite entities; one entity per relationship into the spine's table comes by itself, named after
    its column. ignore: "table.column" patterns that are never features. max_features: how many selection may keep.
    trials: size of the search. search_seconds: wall clock of the search (one that the clock ends is not reproducible).
    trial_seconds, trial_memory_mb: wall clock and memory of each trial. searcher: who proposes configurations (a name
    in `headrace.search.searchers`). margin: how much worse than the champion a refresh may be (in the metric).
    """

    name: str
    entity_set: EntitySet
    spine: EachRow
    label: str
    metric: str = "auc"
    lookbacks: tuple[str, ...] = ("1d", "7d", "30d")
    tick: str = "15min"
    entities: tuple[Entity, ...] = ()
    ignore: tuple[str, ...] = ()
    feed: Replay | None = None
    max_features: int = 120
    trials: int = 16
    search_seconds: float | None = None
    trial_seconds: float | None = None
    trial_memory_mb: float | None = None
    searcher: str = "tpe"
    margin: float = 0.002
    path: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name in ("lookbacks", "entities", "ignore"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.name.isidentifier():
            raise DeclarationError(f"{self.name!r} cannot name a problem", fix="use letters, digits and underscores")
        if self.metric not in METRICS:
            raise DeclarationError(f"no metric {self.metric!r}", where=self.name, found=METRICS)
        for name in ("trials", "search_seconds", "trial_seconds", "trial_memory_mb"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise DeclarationError(f"{name}={limit} lets no trial run", where=self.name, fix="give more than zero")
        self.tick_us, self.lookbacks_us  # noqa: B018  validates both
        if (self.metric in _BINARY) != self.label_expression.binary:
            kind = "true or false" if self.label_expression.binary else "a number"
            raise DeclarationError(
                f"metric {self.metric!r} does not measure a label that is {kind}",
                where=self.name,
                found=[name for name in METRICS if (name in _BINARY) == self.label_expression.binary],
                fix="name one of these metrics, or write the label as a condition, as in 'arr_delay >= 15'",
            )
        if self.spine_table.time is None:
            raise DeclarationError("the spine's table has no time", where=f"{self.name}.{self.spine.table}")
        TimeExpression.parse(self.spine.cutoff)
        LabelExpression.parse(self.label)
        names = [entity.name for entity in self.all_entities]
        if len(set(names)) < len(names):
            raise DeclarationError("two entities share a name", where=self.name, found=names)

    @property
    def spine_table(self) -> Table:
        """The table whose rows are predicted."""
        return self.entity_set.table(self.spine.table)

    @property
    def cutoff(self) -> TimeExpression:
        return TimeExpression.parse(self.spine.cutoff)

    @property
    def label_expression(self) -> LabelExpression:
        return LabelExpression.parse(self.label)

    @property
    def tick_us(self) -> int:
        return parse_duration(self.tick)

    @property
    def lookbacks_us(self) -> tuple[int, ...]:
        return tuple(parse_duration(text) for text in self.lookbacks)

    @cached_property
    def all_entities(self) -> tuple[Entity, ...]:
        """Declared entities after those that relationships into the spine's table imply."""
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
