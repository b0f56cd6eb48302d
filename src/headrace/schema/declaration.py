"""The fields of a problem, and what follows from them: entities, cutoffs, instants. `Problem` checks the values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from headrace.core.calendar import parse_lookback, period_delay_us
from headrace.core.clock import parse_duration
from headrace.core.errors import DeclarationError
from headrace.core.extensions import Handed
from headrace.schema.costs import Costs
from headrace.schema.ensemble import Ensemble
from headrace.schema.entity import Entity
from headrace.schema.entity_set import EntitySet
from headrace.schema.expressions import LabelExpression, TimeExpression
from headrace.schema.feed import Replay
from headrace.schema.horizon import NO_LABEL, HorizonLabel, parse_label
from headrace.schema.monitoring import Monitoring
from headrace.schema.policy import Policy
from headrace.schema.racing import Racing
from headrace.schema.rollout import Rollout
from headrace.schema.spine import DUE, EachRow, Every
from headrace.schema.splits import Splits
from headrace.schema.table import Table

#: Values of `where` that are chosen from the data.
AUTO: Literal["auto"] = "auto"
#: The lookback that has no end.
ALL_HISTORY = "all"


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """The fields of a problem, not checked yet: properties may fail where the fields do not fit together.

    A searcher, families, primitives, an engine, drift tests and alert channels may be names, or objects of the user's
    own (docs/extending.md): a field then holds the object's name, and `handed` the object.

    Args:
        name: what everything of the problem is called in the lake, Feast, MLflow and Prefect.
        entity_set: tables and relationships.
        spine: the rows to predict and their cutoffs.
        label: a condition on a column, a column, or a definition with a horizon. None: features alone are computed.
        metric: what the search, the gate and monitoring go by.
        lookbacks: history lengths of aggregations: durations, months and years ("7d", "3mo", "2y"), multiples of the
            label's horizon ("2 horizons"), and "all" history.
        tick: period at which features are refreshed.
        entities: composite entities; one entity per relationship into the spine's table is implied, named after its
            column.
        ignore: "table.column" patterns that are never features.
        depth: how many levels a feature may stack, 1 to 3; "auto": validation in time chooses.
        where: "table.column" -> values that aggregates are restricted to, or "auto" for frequent ones (of a column,
            or alone: of all).
        groupby: "table.column"s, by each of which rows get running values; from depth 2.
        through: "table.column"s whose last value leads to a further entity with features of its own
            ("results.constructor"); "auto": from depth 2 the columns that relationships make keys.
        label_history: whether the labels of a schedule's earlier cutoffs are a table of features, once they are mature.
        staleness: how old features of predictions become, as "180d": training rows get features of such ages too. None:
            features are those of the last tick.
        primitives: primitives that are offered besides the usual ones.
        seed_features: transforms of a table's columns that are treated as columns, "orders.RATIO(paid, amount)".
        include: patterns of feature names (* and ?): only these.
        exclude: patterns of feature names: none of these.
        max_candidates: how many features are computed before selection.
        feed: history that is replayed as production.
        max_features: how many features selection may keep.
        engine: what computes stored features.
        families: model families that are searched; none named: lightgbm and linear.
        ensemble: an ensemble of the study's configurations may be the model; None: one configuration is.
        searcher: what proposes configurations.
        racing: when a trial that is behind is stopped; None: never.
        trials: size of the search.
        retrain_trials: size of the search of a retrain, which starts from the champion's study; never above `trials`.
        search_seconds: wall clock of the search, s (one that the clock ends is not reproducible).
        trial_seconds: wall clock of each trial, s.
        trial_memory_mb: memory of each trial, MB.
        margin: how much worse than the champion a refresh may be, in the metric.
        rollout: how a challenger that passes the gate replaces the champion: step by step, compared in production.
            None: at once.
        certificate: whether the gate promotes only versions whose certificate passes (`headrace certify`).
        tune_share: share of the rows with a label, those before the gate's, that chooses a configuration.
        gate_share: share of the rows with a label, the newest, that judges what is promoted.
        splits: rows of train, tune, gate and test as the user fixes them, in place of the shares. None: shares.
        monitoring: how production is watched.
        policy: what is done about drift.
        costs: what wrong decisions cost, for alerts and estimates in money; of a label that is a condition.
        path: the file that declares the problem.
        handed: objects of the user's own that the fields above name.
    """

    name: str
    entity_set: EntitySet
    spine: EachRow | Every
    label: str | None
    metric: str = "auc"
    lookbacks: tuple[str, ...] = ("1d", "7d", "30d")
    tick: str = "15min"
    entities: tuple[Entity, ...] = ()
    ignore: tuple[str, ...] = ()
    depth: int | Literal["auto"] = 1
    where: Mapping[str, tuple[str | float | bool, ...] | Literal["auto"]] | Literal["auto"] = field(
        default_factory=dict
    )
    groupby: tuple[str, ...] = ()
    through: tuple[str, ...] | Literal["auto"] = AUTO
    label_history: bool = True
    staleness: str | None = None
    primitives: tuple[Any, ...] = ()
    seed_features: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_candidates: int = 1000
    feed: Replay | None = None
    max_features: int = 120
    engine: Any = "local"
    families: tuple[Any, ...] = ()
    ensemble: Ensemble | None = None
    searcher: Any = "auto"
    racing: Racing | None = field(default_factory=Racing)
    trials: int = 16
    retrain_trials: int = 8
    search_seconds: float | None = None
    trial_seconds: float | None = None
    trial_memory_mb: float | None = None
    margin: float = 0.002
    rollout: Rollout | None = None
    certificate: bool = False
    tune_share: float = 0.15
    gate_share: float = 0.10
    splits: Splits | None = None
    monitoring: Monitoring = field(default_factory=Monitoring)
    policy: Policy = field(default_factory=Policy)
    costs: Costs | None = None
    path: Path | None = field(default=None, compare=False)
    handed: tuple[Handed, ...] = field(default=(), compare=False, repr=False)

    @property
    def extensions(self) -> tuple[Handed, ...]:
        """Every object of the user's own that the problem hands over, with the problem's file."""
        return tuple(replace(one, file=self.path) for one in (*self.handed, *self.monitoring.handed))

    def link(self, parent: str, child: str) -> str | None:
        """The column of a table that points to a parent; None where no relationship does."""
        columns = [r.child_column for r in self.entity_set.children(parent) if r.child_table == child]
        return columns[0] if columns else None

    def schedule_link(self, spine: Every) -> str:
        """The column by which a row of a schedule's active table names its entity."""
        link = self.link(spine.entity, spine.active)
        assert link is not None  # checked at declaration
        return link

    def label_entity(self, label: HorizonLabel) -> tuple[Entity, tuple[str, ...]]:
        """The entity that a label with a horizon is about, and the columns of its table that hold the join keys."""
        candidates = [
            (entity, (link,))
            for entity in self.all_entities
            if entity.parent is not None
            and label.by in (None, entity.name)
            and (link := self.link(entity.parent[0], label.table)) is not None
        ]
        if len(candidates) != 1:
            raise DeclarationError(
                f"{len(candidates)} entities have rows in {label.table!r}" + (f" by {label.by!r}" if label.by else ""),
                where=f"{self.name}: label",
                found=[entity.name for entity, _ in candidates] or [entity.name for entity in self.all_entities],
                fix='declare the relationship, or name the entity: by="customer_id"',
            )
        return candidates[0]

    def sources_by_key(self, table: str, keys: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        """The declared tables that a table's rows come from, and the columns of each that hold the table's `keys`."""
        if self.entity_set.sources(table) == (table,) or not isinstance(self.spine, Every):
            return {table: keys}
        label = self.label_expression
        columns = {self.spine.entity: keys, self.spine.active: (self.schedule_link(self.spine),)}
        return columns | ({label.table: self.label_entity(label)[1]} if isinstance(label, HorizonLabel) else {})

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
    def deepest(self) -> int:
        """The largest number of levels that candidates stack; of depth "auto" the largest that may be chosen."""
        return 3 if self.depth == AUTO else self.depth

    @property
    def cutoff(self) -> TimeExpression:
        if isinstance(self.spine, Every):
            return TimeExpression.parse(DUE)
        return self.spine_table.local(TimeExpression.parse(self.spine.cutoff))

    @property
    def label_expression(self) -> LabelExpression | HorizonLabel:
        return parse_label(self.label) if self.label is not None else NO_LABEL

    @property
    def has_label(self) -> bool:
        """Whether there is something to predict; without it, features alone are computed (`headrace.synthesize`)."""
        return self.label is not None

    @property
    def label_is_foreknown(self) -> bool:
        """Whether the label's column is declared as known at the cutoff, where there is nothing left to predict."""
        label, table = self.label_expression, self.spine_table
        known = table.column_known(label.column) if label.column else None
        if known is None or known.column != self.cutoff.column:
            return False
        delay_us = period_delay_us(table.resolution, table.tz)
        return known.offset_us + delay_us <= self.cutoff.offset_us

    @property
    def history_tables(self) -> tuple[str, ...]:
        """The tables without which no row can be predicted or judged."""
        label = self.label_expression
        tables = [self.spine.entity, self.spine.active] if isinstance(self.spine, Every) else [self.spine.table]
        if isinstance(label, HorizonLabel):
            parent = self.label_entity(label)[0].parent if label.until is not None else None
            tables += [label.table, *([parent[0]] if parent is not None else [])]
        return tuple(dict.fromkeys(tables))

    @property
    def tick_us(self) -> int:
        return parse_duration(self.tick)

    @property
    def staleness_us(self) -> int | None:
        return None if self.staleness is None else parse_lookback(self.staleness)

    @property
    def lookbacks_us(self) -> tuple[int, ...]:
        """Lookbacks with an end, in us; a multiple of the label's horizon is written "2 horizons"."""
        return tuple(self._lookback_us(text) for text in self.lookbacks if text != ALL_HISTORY)

    @property
    def has_all_history(self) -> bool:
        """Whether all history is a lookback too."""
        return ALL_HISTORY in self.lookbacks

    def _lookback_us(self, text: str) -> int:
        count, _, word = str(text).strip().partition(" ")
        if word not in ("horizon", "horizons"):
            return parse_lookback(text)
        label = self.label_expression
        if not isinstance(label, HorizonLabel) or not label.horizon_us or not count.isdecimal() or count == "0":
            raise DeclarationError(
                f"{text!r} is not a lookback",
                where=self.name,
                fix='write "2 horizons" where the label has a horizon; else a duration, as in "7d"',
            )
        return int(count) * label.horizon_us

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
        names_split = self.splits is not None and (table, column) == (self.spine.table, self.splits.column)
        return f"{table}.{column}" in self.ignore or names_split

    @property
    def join_keys(self) -> tuple[str, ...]:
        """Every column a prediction request must carry to find its entities."""
        return tuple(dict.fromkeys(key for entity in self.all_entities for key in entity.join_keys))
