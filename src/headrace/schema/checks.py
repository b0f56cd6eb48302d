"""Check a problem's declaration: what Python does not check itself, and how its fields fit together.

Each check takes the problem and raises one DeclarationError that names the field. `Problem` runs `CHECKS` in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType

from headrace.core.errors import DeclarationError
from headrace.core.names import LONGEST_PROBLEM, check_name
from headrace.schema.costs import Costs
from headrace.schema.declaration import AUTO, Declaration
from headrace.schema.ensemble import Ensemble
from headrace.schema.entity_set import EntitySet
from headrace.schema.feed import Replay
from headrace.schema.horizon import HorizonLabel
from headrace.schema.metrics import BINARY_METRICS, METRICS, QUANTILE, is_metric
from headrace.schema.monitoring import Monitoring
from headrace.schema.policy import Policy
from headrace.schema.racing import Racing
from headrace.schema.rollout import Rollout
from headrace.schema.spine import DUE, EachRow, Every, GivenRows
from headrace.schema.splits import Splits
from headrace.schema.values import check_number, check_whole

#: What the tune and gate windows may take of the rows together.
MOST_JUDGED = 0.6
#: Field -> its type, and how one is written.
_TYPES: Mapping[str, tuple[type | UnionType, str]] = {
    "entity_set": (EntitySet, "EntitySet(tables=[...])"),
    "spine": (EachRow | Every, 'each_row("orders", cutoff="placed")'),
    "feed": (Replay | NoneType, 'Replay(start="2024-02-01")'),
    "ensemble": (Ensemble | NoneType, "Ensemble(), or None for one model"),
    "splits": (Splits | NoneType, 'Splits(tune="2024-03-01", test="2024-05-01")'),
    "racing": (Racing | NoneType, "Racing(), or None for no racing"),
    "rollout": (Rollout | NoneType, "Rollout(), or None to promote at once"),
    "monitoring": (Monitoring, 'Monitoring(window="7d")'),
    "policy": (Policy, "Policy(k=2, n=3)"),
    "costs": (Costs | NoneType, "Costs(false_positive=5, false_negative=40)"),
    "label": (str | NoneType, "a text"),
}


def check_types(problem: Declaration) -> None:
    """Names, types and ranges of single fields."""
    check_name(problem.name, "a problem", LONGEST_PROBLEM, ascii_only=True)
    where = problem.name
    for name, (kind, example) in _TYPES.items():
        if not isinstance(getattr(problem, name), kind):
            raise DeclarationError(f"{name}={getattr(problem, name)!r}", where=where, fix=f"give {example}")
    for name in ("max_features", "max_candidates", "trials", "retrain_trials"):
        check_whole(name, getattr(problem, name), where=where, least=1)
    if not isinstance(problem.label_history, bool):
        raise DeclarationError(f"label_history={problem.label_history!r}", where=where, fix="give True or False")
    for name in ("search_seconds", "trial_seconds", "trial_memory_mb"):
        if getattr(problem, name) is not None:
            check_number(name, getattr(problem, name), where=where, low=0)
    check_number("margin", problem.margin, where=where, low=float("-inf"))
    if isinstance(problem.depth, bool) or problem.depth not in (1, 2, 3, AUTO):
        raise DeclarationError(f"depth={problem.depth!r} is neither from 1 to 3 nor {AUTO!r}", where=where)
    problem.tick_us, problem.lookbacks_us, problem.staleness_us  # noqa: B018  validates them


def check_metric(problem: Declaration) -> None:
    """The metric exists and measures this kind of label."""
    if not is_metric(problem.metric):
        found = [*METRICS, f"{QUANTILE}0.9"]
        raise DeclarationError(f"no metric {problem.metric!r}", where=problem.name, found=found)
    if not problem.has_label:
        return
    binary = problem.label_expression.binary
    if (problem.metric in BINARY_METRICS) != binary:
        raise DeclarationError(
            f"metric {problem.metric!r} does not measure a label that is {'true or false' if binary else 'a number'}",
            where=problem.name,
            found=[name for name in METRICS if (name in BINARY_METRICS) == binary],
            fix="name one of these metrics, or write the label as a condition, as in 'arr_delay >= 15'",
        )


def check_costs(problem: Declaration) -> None:
    """Costs are of decisions about a label that is a condition."""
    if problem.costs is not None and not problem.label_expression.binary:
        raise DeclarationError(
            "costs of a label that is a number",
            where=problem.name,
            fix="leave out costs, or write the label as a condition, as in 'arr_delay >= 15'",
        )


def check_shares(problem: Declaration) -> None:
    """The tune and gate windows leave rows to learn from."""
    for name in ("tune_share", "gate_share"):
        check_number(name, getattr(problem, name), where=problem.name, low=0, high=1)
    if round(problem.tune_share + problem.gate_share, 9) > MOST_JUDGED:  # .4 and .2 are .6
        raise DeclarationError(
            f"tune_share={problem.tune_share} and gate_share={problem.gate_share} leave too few rows to learn from",
            where=problem.name,
            fix=f"give shares that add up to {MOST_JUDGED} at most",
        )


def check_splits(problem: Declaration) -> None:
    """Rows of a schedule have no column that could name their split."""
    if problem.splits is not None and problem.splits.column is not None and isinstance(problem.spine, Every):
        raise DeclarationError(
            f"rows of a schedule have no column {problem.splits.column!r}",
            where=f"{problem.name}: splits",
            fix='give the windows as dates: Splits(tune="2024-03-01", test="2024-05-01")',
        )


def check_synthesis(problem: Declaration) -> None:
    """`where`, `groupby` and `through` name columns of declared tables."""
    if problem.groupby and problem.deepest < 2:
        raise DeclarationError("groupby without depth", where=problem.name, fix="declare depth=2: they are aggregated")
    where = {} if problem.where == "auto" else problem.where
    if isinstance(where, str):
        raise DeclarationError(f"where={where!r}", where=problem.name, fix='give columns and their values, or "auto"')
    through = () if problem.through == AUTO else problem.through
    if isinstance(through, str):
        raise DeclarationError(
            f"through={through!r}", where=problem.name, fix='give columns, as in ("results.constructor",), or "auto"'
        )
    for name in (*where, *problem.groupby, *through):
        if name.count(".") != 1:
            raise DeclarationError(f"{name!r} is not table.column", where=problem.name)
        problem.entity_set.table(name.split(".")[0])
    for name, values in where.items():
        if values != "auto" and (isinstance(values, str) or not values):
            raise DeclarationError(f"where={name!r} needs a list of values", where=problem.name, found=[values])


def check_spine(problem: Declaration) -> None:
    """The spine has a time, and a schedule knows when its entities were active."""
    spine = problem.spine
    if isinstance(spine, GivenRows):
        _check_given_rows(problem, spine)
    elif isinstance(spine, Every):
        _check_schedule(problem, spine)
    elif problem.spine_table.time is None:
        raise DeclarationError("the spine's table has no time", where=f"{problem.name}.{spine.table}")
    problem.cutoff  # noqa: B018  validates it


def _check_given_rows(problem: Declaration, spine: GivenRows) -> None:
    keys = problem.entity_set.table(spine.entity).keys
    if len(keys) != 1 or problem.has_label:
        raise DeclarationError(
            "given rows are of a table with one key column, without a label", where=problem.name, found=keys
        )


def _check_schedule(problem: Declaration, spine: Every) -> None:
    where = f"{problem.name}: spine every {spine.step}"
    spine.step_us, spine.within_us  # noqa: B018  validates both
    keys, active = problem.entity_set.table(spine.entity).keys, problem.entity_set.table(spine.active)
    if len(keys) != 1 or keys == (DUE,):
        raise DeclarationError(f"a schedule needs one key column, not called {DUE!r}", where=where, found=keys)
    if active.time is None or problem.link(spine.entity, spine.active) is None:
        raise DeclarationError(
            f"{spine.active} does not tell when one of {spine.entity} was active",
            where=where,
            fix=f"name a table with a time and a relationship from {spine.entity}.{keys[0]}",
        )
    if not isinstance(problem.label_expression, HorizonLabel):
        raise DeclarationError(
            f"a scheduled row has no column {problem.label_expression.column!r}",
            where=where,
            fix='write the label with a horizon, as in count("orders", horizon="30d") > 0',
        )


def check_horizon(problem: Declaration) -> None:
    """A label with a horizon is over a table with time, and about one entity."""
    label = problem.label_expression
    if not isinstance(label, HorizonLabel) or not problem.has_label:
        return
    if problem.entity_set.table(label.table).time is None:
        raise DeclarationError(
            "a label with a horizon over a table without time",
            where=f"{problem.name}.{label.table}",
            fix="declare time=",
        )
    parent = problem.label_entity(label)[0].parent
    assert parent is not None  # what a label is about has a table
    if label.until is not None and label.until not in problem.entity_set.table(parent[0]).known_at:
        raise DeclarationError(
            f"until={label.until!r} is not declared as known later than its row",
            where=f"{problem.name}.{parent[0]}",
            fix=f'declare known_at={{"{label.until}": "{label.until}"}}, so that no feature sees it before',
        )


def check_entities(problem: Declaration) -> None:
    """Entities have names of their own."""
    names = [entity.name for entity in problem.all_entities]
    if len(set(names)) < len(names):
        raise DeclarationError("two entities share a name", where=problem.name, found=names)


def check_rollout(problem: Declaration) -> None:
    """A rollout divides entities by join keys of the problem."""
    unknown = [] if problem.rollout is None else [name for name in problem.rollout.by if name not in problem.join_keys]
    if unknown:
        raise DeclarationError(
            f"by={unknown[0]!r} is no join key", where=f"{problem.name}: rollout", found=problem.join_keys
        )


CHECKS = (
    check_types, check_metric, check_costs, check_shares, check_splits, check_synthesis, check_spine,
    check_horizon, check_entities, check_rollout,
)  # fmt: skip
