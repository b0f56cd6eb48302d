"""A label with a horizon: an aggregation of what happens after the cutoff, `count("orders", horizon="30d") > 0`."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from headrace.core.clock import parse_duration
from headrace.core.errors import DeclarationError
from headrace.schema.expressions import LabelExpression

_SIGNS: dict[type[ast.cmpop], str] = {
    ast.GtE: ">=",
    ast.LtE: "<=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Gt: ">",
    ast.Lt: "<",
}


@dataclass(frozen=True, kw_only=True)
class HorizonLabel:
    """A primitive over the rows of a table whose event time lies in [cutoff, cutoff + horizon).

    of: the aggregated column, "" for the rows themselves. where: a condition on a column of those rows. by: the entity
    whose rows they are, where the table hangs on several. until: the column of the entity's own table that tells how
    long it was watched, null for ever; what lies beyond is not known. operator "": the value itself, for regression.
    """

    primitive: str
    table: str
    of: str
    horizon_us: int
    where: LabelExpression | None = None
    by: str | None = None
    until: str | None = None
    operator: str = ""
    value: float | None = None

    @property
    def column(self) -> str:
        """No column of the spine's row is the label."""
        return ""

    @property
    def binary(self) -> bool:
        """Whether the label is true / false rather than a number."""
        return bool(self.operator)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table that the label reads."""
        columns = [self.of, self.where.column if self.where is not None else ""]
        return tuple(name for name in dict.fromkeys(columns) if name)


#: The label of a declaration that features alone are made for (`headrace.synthesize`): of no column and no table.
NO_LABEL = HorizonLabel(primitive="", table="", of="", horizon_us=0)


def parse_label(text: str) -> LabelExpression | HorizonLabel:
    """Read `arr_delay >= 15`, or a definition with a horizon: `count("labs", horizon="1w") > 0`."""
    if "(" not in text.split("'")[0].split('"')[0]:
        return LabelExpression.parse(text)
    try:
        parsed = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise _wrong(text) from None
    sign, value = "", None
    if isinstance(parsed, ast.Compare) and len(parsed.ops) == 1 and isinstance(parsed.comparators[0], ast.Constant):
        sign, constant = _SIGNS.get(type(parsed.ops[0]), ""), parsed.comparators[0].value
        if not sign or isinstance(constant, bool) or not isinstance(constant, int | float):
            raise _wrong(text)
        value, parsed = float(constant), parsed.left
    if not isinstance(parsed, ast.Call) or not isinstance(parsed.func, ast.Name) or len(parsed.args) != 1:
        raise _wrong(text)
    arguments = {item.arg: item.value for item in parsed.keywords}
    constants = {name: item.value for name, item in arguments.items() if isinstance(item, ast.Constant)}
    target = parsed.args[0].value if isinstance(parsed.args[0], ast.Constant) else None
    if (
        not isinstance(target, str)
        or "horizon" not in constants
        or set(arguments) - {"horizon", "where", "by", "until"}
    ):
        raise _wrong(text)
    if len(constants) < len(arguments) or not all(isinstance(item, str) for item in constants.values()):
        raise _wrong(text)
    table, _, column = target.partition(".")
    where = constants.get("where")
    return HorizonLabel(
        primitive=parsed.func.id,
        table=table,
        of=column,
        horizon_us=parse_duration(str(constants["horizon"])),
        where=_condition(str(where)) if where is not None else None,
        by=str(constants["by"]) if "by" in constants else None,
        until=str(constants["until"]) if "until" in constants else None,
        operator=sign,
        value=value,
    )


def _condition(text: str) -> LabelExpression:
    condition = LabelExpression.parse(text)
    if not condition.operator:
        raise DeclarationError(f"{text!r} is not a condition", where="label", fix="write where=\"event == 'nafld'\"")
    return condition


def _wrong(text: str) -> DeclarationError:
    return DeclarationError(
        f"{text!r} is not a label",
        fix='write a condition on a column, or a definition with a horizon, as in count("orders", horizon="30d") > 0',
    )
