"""What a reader made of a damage, judged by what the same reader made of the whole home."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.chaos.damage.case import Seen

#: What may come of a damage. lost: what was in the file is gone, which is said, and the rest goes on. flagged: the
#: answer says that its features are MISSING or STALE, or `status` that the online store is not.
GOOD = ("unaffected", "mended", "refused", "lost", "flagged")

#: Kinds of which something may be lost: what is in them is nowhere else, and serving must go on without. Of all stages
#: at once it is the promotion of the first version: judged again, it becomes @challenger beside the champion. Of a
#: version without its report, `status` says that there is none.
MAY_LOSE = frozenset(
    {
        *("prediction log", "outbox", "MLflow database", "ledger", "stages: facts", "stages: manifests"),
        "reports of versions",
    }
)

#: `headrace status` says how far the online store is.
_ONLINE = '"online": '

#: Figures of time, which differ from run to run.
_TIMES = re.compile(r"\d+\.\d+")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One reader of one case. case: the number of the flip. verdict: one of GOOD, or a fault: changed (a result, and
    not a word), traceback, vague (an error that does not say where or what to do)."""

    kind: str
    damage: str
    case: int
    reader: str
    verdict: str
    detail: str

    @property
    def faulty(self) -> bool:
        return self.verdict not in GOOD


def judge(seen: Seen, whole: Seen, damaged: Seen, kind: str) -> tuple[str, str]:
    """A verdict on a reader, and what was seen. damaged: the home before anybody read it: what a reader neither reads
    nor changes stays damaged, and is judged where it is read."""
    if seen.trace:
        return "traceback", seen.trace.strip()[-600:]
    if seen.code:
        return ("refused" if seen.fix else "vague"), seen.error or f"exit code {seen.code}: {seen.said[-300:]}"
    news = _news(seen, whole)
    differing = _differing(seen.result, whole.result, damaged.result)
    if differing:
        detail = f"{'; '.join(differing)} | said: {news}"
        if list(seen.result.get("ages", {}).values()) not in ([], ["FRESH"]) or _ONLINE in news:
            return "flagged", detail
        return ("lost" if news and kind in MAY_LOSE else "changed"), detail
    return ("mended", news) if news else ("unaffected", "")


def _news(seen: Seen, whole: Seen) -> str:
    """Lines that the reader of the whole home did not say."""
    usual = {_TIMES.sub("#", line).strip() for line in whole.said.splitlines()}
    lines = [line.strip() for line in seen.said.splitlines()]
    return " / ".join(line for line in lines if line and _TIMES.sub("#", line) not in usual)[:600]


def _differing(now: Mapping[str, Any], then: Mapping[str, Any], damaged: Mapping[str, Any]) -> list[str]:
    """The parts of a result that the reader has made otherwise."""
    left = {
        name for name in damaged if damaged[name] == now.get(name) or (_is_lost(damaged[name]) and not now.get(name))
    }
    return [
        f"{name}: {_difference(now[name], then[name])}" for name in then if now[name] != then[name] and name not in left
    ]


def _is_lost(part: Any) -> bool:
    """Whether a part could not be read after the damage: an empty one in its place is as lost."""
    return isinstance(part, str) and part.startswith("unreadable")


def _difference(now: Any, then: Any) -> str:
    if isinstance(now, list) and isinstance(then, list):
        gone, new = [item for item in then if item not in now], [item for item in now if item not in then]
        return f"{len(gone)} gone ({str(gone)[:100]}), {len(new)} new ({str(new)[:100]})"
    return f"{str(now)[:200]} <- {str(then)[:200]}"
