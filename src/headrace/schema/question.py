"""A problem from a predictive question in PQL, Kumo's query language: entity, target, horizon and filter.

    PREDICT COUNT(orders.*, 0, 30, days) > 0 FOR EACH customers.customer_id WHERE COUNT(orders.*, -90, 0, days) > 0

becomes the label `count("orders", horizon="30d") > 0`, asked every 30 days of each customer with an order in the
90 days before. A column of the entity's own table (`PREDICT orders.refunded FOR EACH orders.order_id`) is asked at the
row's time.

Kumo's interval begins after the cutoff and includes its end; Headrace's begins at the cutoff and excludes its end
(docs/evaluating.md). Intervals that begin later, lists of values, several conditions and ASSUMING are refused.

Source: Kumo's reference of PQL, docs.kumo.ai, 2026.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from headrace.core.errors import DeclarationError
from headrace.schema.entity_set import EntitySet
from headrace.schema.expressions import LabelExpression
from headrace.schema.problem import Problem
from headrace.schema.spine import EachRow, Every, each_row, every

#: PQL's aggregations -> our primitives.
_PRIMITIVES = {
    "COUNT": "count", "SUM": "sum", "AVG": "mean", "MIN": "min", "MAX": "max", "COUNT_DISTINCT": "num_unique",
    "LAST": "last",
}  # fmt: skip
_UNITS = {"days": "d", "day": "d", "hours": "h", "hour": "h", "weeks": "w", "week": "w", "minutes": "min"}
#: Without a filter, entities count as active if they ever were.
_EVER = "100y"
_COLUMN = r"[A-Za-z_]\w*\.(?:\*|[A-Za-z_]\w*)"
_COMPARISON = r"(?:<=|>=|!=|<>|==|=|<|>)\s*(?:'[^']*'|\"[^\"]*\"|[-\w.]+)"
_AGGREGATION = re.compile(
    rf"^(?P<name>[A-Z_]+)\(\s*(?P<of>{_COLUMN})(?:\s+WHERE\s+(?P<where>{_COLUMN}\s*{_COMPARISON}))?\s*,"
    rf"\s*(?P<start>-?\w+)\s*,\s*(?P<end>-?\d+)\s*(?:,\s*(?P<unit>\w+)\s*)?\)\s*(?P<condition>{_COMPARISON})?$",
    re.IGNORECASE,
)
_STATIC = re.compile(rf"^(?P<of>{_COLUMN})\s*(?P<condition>{_COMPARISON})?$")
_QUESTION = re.compile(
    r"^\s*PREDICT\s+(?P<target>.+?)\s+FOR\s+(?P<each>EACH\s+)?(?P<entity>[A-Za-z_]\w*\.[A-Za-z_]\w*)"
    r"(?P<rest>.*)$",
    re.IGNORECASE | re.DOTALL,
)


#: Words of PQL that are refused by name, outside quotes -> what to do.
_REFUSED = {
    "ASSUMING": "there are no hypothetical conditions; change the rows, and predict them",
    "RANK TOP": "lists are recommended for RelBench tasks only: `headrace evaluate FOLDER --task NAME`",
    "CLASSIFY": "ask COUNT(table.* WHERE table.column = 'value', 0, 30, days) > 0 for one value",
    "FORECAST": "ask for one period, with step= as the time between two cutoffs",
    "AND": "write one condition, or declare a table or column with the others",
    "OR": "write one condition, or declare a column that holds it",
    "NOT": "turn the comparison round",
    "IN": "compare with one value",
    "IS": "compare with a value",
    "BETWEEN": "write one comparison",
    "LIKE": "declare a column that holds the condition",
    "CONTAINS": "declare a column that holds the condition",
    "STARTS WITH": "declare a column that holds the condition",
    "ENDS WITH": "declare a column that holds the condition",
}


@dataclass(frozen=True, kw_only=True)
class Aggregation:
    """An aggregation over an interval of time, relative to the cutoff.

    Attributes:
        primitive: Our name of it.
        table: Whose rows.
        column: Of them; "" for the rows themselves.
        where: A condition on a column of those rows; "" for none.
        start, end: The interval, in `unit`s from the cutoff; None for since ever.
        unit: `d`, `h`, `w` or `min`.
        condition: On the value, as in "> 0"; "" for the value itself.
    """

    primitive: str
    table: str
    column: str
    where: str
    start: int | None
    end: int
    unit: str
    condition: str


def question_problem(
    question: str, *, name: str, entity_set: EntitySet, step: str | None = None, **options: Any
) -> Problem:
    """Declare the problem that a predictive question asks.

    Args:
        question: In PQL.
        name: Of the problem.
        entity_set: The tables that it is asked about.
        step: Time between two cutoffs of an entity; None: the horizon.
        **options: Further fields of `Problem`. The metric is `auc` for a condition and `rmse` for a number by default.

    Raises:
        DeclarationError: The question is no PQL, or asks for what is not supported; or the tables do not fit it.
    """
    _refuse_words(question)
    match = _QUESTION.match(question)
    if match is None:
        raise _refused(question, "no PREDICT ... FOR EACH table.key")
    table, key = match["entity"].split(".")
    if not match["each"]:
        raise _refused(question, f"a list of {table}", fix=f"write FOR EACH {match['entity']}; "
                       "`headrace predict` predicts the rows of a file")  # fmt: skip
    if entity_set.table(table).keys != (key,):
        raise DeclarationError(f"{match['entity']} is not the key of {table}", where="question",
                               found=entity_set.table(table).keys)  # fmt: skip
    filters = _filter(question, match["rest"])
    static = _STATIC.match(" ".join(match["target"].split()))
    label: str
    spine: EachRow | Every
    if static is not None:
        label, spine = _static(question, static, table, entity_set, filters)
    else:
        label, spine = _temporal(question, match["target"], table, filters, step)
    binary = LabelExpression.parse(label).binary if static is not None else label[label.rindex(")") + 1 :].strip() != ""
    chosen = {"metric": "auc" if binary else "rmse", **options}
    return Problem(name=name, entity_set=entity_set, spine=spine, label=label, **chosen)


def parse_aggregation(text: str, question: str) -> Aggregation:
    """Read `SUM(orders.amount WHERE orders.state = 'paid', 0, 30, days) > 100`.

    Raises:
        DeclarationError: It is no aggregation, or one that is not supported.
    """
    match = _AGGREGATION.match(" ".join(text.split()))
    if match is None:
        raise _refused(question, f"{text.strip()!r} is neither a column nor one aggregation")
    primitive = _PRIMITIVES.get(match["name"].upper())
    if primitive is None:
        raise _refused(question, f"aggregation {match['name']}", found=list(_PRIMITIVES))
    table, column = match["of"].split(".")
    unit = _UNITS.get((match["unit"] or "days").lower())
    if unit is None:
        raise _refused(question, f"unit {match['unit']!r} has no fixed length", found=list(_UNITS), fix="write days")
    start = match["start"].upper()
    if start not in ("-INF", "INF") and not re.fullmatch(r"-?\d+", start):
        raise _refused(question, f"{match['start']!r} is no start of an interval")
    return Aggregation(
        primitive=primitive,
        table=table,
        column="" if column == "*" or primitive == "count" else column,
        where=_condition_of(match["where"], table, question) if match["where"] else "",
        start=None if "INF" in start else int(start),
        end=int(match["end"]),
        unit=unit,
        condition=_ours(match["condition"] or ""),
    )


def _temporal(
    question: str, target: str, entity: str, filters: Aggregation | None, step: str | None
) -> tuple[str, Every]:
    """The label over the horizon, and the schedule."""
    asked = parse_aggregation(target, question)
    if asked.start != 0 or asked.end <= 0:
        raise _refused(
            question, f"an interval from {asked.start} to {asked.end}", fix="start it at 0: COUNT(t.*, 0, 30)"
        )
    horizon = f"{asked.end}{asked.unit}"
    of = f"{asked.table}.{asked.column}" if asked.column else asked.table
    where = f', where="{asked.where}"' if asked.where else ""
    label = f'{asked.primitive}("{of}", horizon="{horizon}"{where}) {asked.condition}'.strip()
    active, within = asked.table, _EVER
    if filters is not None:
        active = filters.table
        within = _EVER if filters.start is None else f"{-filters.start}{filters.unit}"
    return label, every(step or horizon, entity, active=active, within=within)


def _static(
    question: str, target: re.Match[str], entity: str, entity_set: EntitySet, filters: Aggregation | None
) -> tuple[str, EachRow]:
    """A column of the entity's own rows, asked at their time."""
    table, column = target["of"].split(".")
    time = entity_set.table(entity).time
    if table != entity or column == "*" or filters is not None or time is None:
        raise _refused(question, f"the column {target['of']} for each row of {entity}",
                       fix="ask for a column of the entity's own table, which has a time, and no filter")  # fmt: skip
    return f"{column} {_ours(target['condition'] or '')}".strip(), each_row(entity, cutoff=time)


def _filter(question: str, rest: str) -> Aggregation | None:
    """The filter of entities: a count before the cutoff above 0, or None."""
    text = rest.strip().rstrip(";").strip()
    if not text:
        return None
    if not re.match(r"WHERE\s", text, re.IGNORECASE):
        raise _refused(question, repr(text), fix="after the entity, write WHERE COUNT(table.*, -90, 0, days) > 0")
    found = parse_aggregation(text[5:], question)
    before = found.end == 0 and (found.start is None or found.start < 0)
    if found.primitive != "count" or found.where or found.condition not in ("> 0", ">= 1") or not before:
        raise _refused(question, f"the filter {text[5:].strip()!r}", fix="write WHERE COUNT(table.*, -90, 0, days) > 0")
    return found


def _condition_of(text: str, table: str, question: str) -> str:
    """`orders.state = 'paid'` as a condition on a column of the table's rows."""
    owner, _, rest = text.partition(".")
    if owner != table:
        raise _refused(question, f"a condition on {owner} for rows of {table}", fix=f"name a column of {table}")
    column, comparison = re.match(r"^(\w+)\s*(.*)$", rest).groups()  # type: ignore[union-attr]
    return f"{column} {_ours(comparison)}"


def _refuse_words(question: str) -> None:
    """Raise DeclarationError for a word of PQL that is not supported, with what to do instead."""
    words = " ".join(re.sub(r"'[^']*'|\"[^\"]*\"", "''", question).split())
    for word, fix in _REFUSED.items():
        if re.search(rf"(?<![\w.]){word}(?![\w.])", words, re.IGNORECASE):
            raise _refused(question, word, fix=fix)


def _ours(comparison: str) -> str:
    """A comparison in our spelling: `= 'paid'` is `== 'paid'`."""
    match = re.match(r"^(<=|>=|!=|<>|==|=|<|>)\s*(.+)$", comparison.strip())
    if match is None:
        return ""
    sign = {"=": "==", "<>": "!="}.get(match[1], match[1])
    value = match[2].strip()
    return f"{sign} " + (f"'{value[1:-1]}'" if value[0] in "'\"" else value.lower() if value.isalpha() else value)


def _refused(question: str, what: str, *, found: Any = (), fix: str = "") -> DeclarationError:
    usual = "write it as PREDICT COUNT(orders.*, 0, 30, days) > 0 FOR EACH customers.customer_id"
    return DeclarationError(f"{what} is not supported", where=f"question {question.strip()[:60]!r}", found=found,
                            fix=fix or usual)  # fmt: skip
