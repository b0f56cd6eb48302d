"""The scopes of API keys: what a key may be allowed to do, for the command that makes keys and the API that checks."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from headrace.core.errors import DeclarationError


class Scope(StrEnum):
    """What one key may do. A key has any number of scopes, and none includes another."""

    PREDICT = "predict"
    EXPLAIN = "explain"
    EVENTS = "events"
    READ = "read"
    METRICS = "metrics"
    OPERATE = "operate"


#: Scope -> what it allows, for the command's help and the documentation.
MEANING = {
    Scope.PREDICT: "ask for predictions",
    Scope.EXPLAIN: "ask for the contributions of features to a prediction, beside `predict`",
    Scope.EVENTS: "append rows of tables",
    Scope.READ: "read the model's card, example rows, readiness in full, the page, reports and the reference",
    Scope.METRICS: "read the counters of Prometheus",
    Scope.OPERATE: "acknowledge alerts and start runs on the page",
}


def scopes_of(names: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes of these names.

    Raises:
        DeclarationError: A name is no scope, or there is none.
    """
    given = list(names)
    unknown = [name for name in given if name not in set(Scope)]
    if unknown or not given:
        what = f"{unknown[0]!r} is no scope" if unknown else "a key needs a scope"
        raise DeclarationError(what, where="scopes", found=list(Scope), fix="name one or more of them")
    return frozenset(Scope(name) for name in given)
