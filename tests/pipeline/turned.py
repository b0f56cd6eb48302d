"""The tiny problem in a world that turns, and its production lived through day by day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from headrace.core.clock import SECOND, to_us
from headrace.pipeline.context import Context
from headrace.pipeline.monitoring.monitor_report import MonitorReport
from headrace.pipeline.monitoring.monitor_window import monitor_window
from headrace.pipeline.operations.advance import advance
from headrace.pipeline.production.feed import feed_step
from tests.pipeline.shop import Shop
from tests.tiny_problem import write_tiny_problem

TURNS = datetime(2024, 2, 12, tzinfo=UTC)
_WALL: Iterator[int] = count(to_us("2030-01-01"), SECOND)


def wall_us() -> int:
    """A wall clock that moves by a second whenever it is looked at."""
    return next(_WALL)


def write_turned(folder: Path) -> Path:
    """Twenty orders a day; what was learnt until 2024-02-10 is wrong from 2024-02-12 on. Returns its problem.py."""
    return write_tiny_problem(folder, orders=1200, replayed_days=1, turns=TURNS)


def context_of(shop: Shop) -> Context:
    """The shop's context."""
    return shop.run().context


def live(context: Context, days: int) -> None:
    """Live through days of the feed; what fell due on them is scored on the last."""
    for _ in range(days - 1):
        feed_step(context)
    advance(context)


def look(context: Context) -> MonitorReport:
    """One look at the last window."""
    return monitor_window(context, now_us=wall_us())


def write_mistaught(folder: Path) -> Path:
    """A world that stands, but for eight days of February that say the opposite: who learns from them too is worse.

    One trial, the champion's own config: of several tuned on days that lie, the luckiest can hold by chance.
    """
    path = write_tiny_problem(folder, orders=2400, replayed_days=1)
    path.write_text(path.read_text().replace("trials=4", "trials=1"))
    orders = folder / "orders.csv"
    header, *lines = orders.read_text().splitlines()
    orders.write_text("\n".join([header, *map(_mistaught, lines)]) + "\n")
    return path


def _mistaught(line: str) -> str:
    *fields, refunded = line.split(",")
    _, _, placed, amount, *_ = fields
    if "2024-02-12" <= placed < "2024-02-20":
        refunded = amount if float(refunded) == 0 else "0.00"
    return ",".join([*fields, refunded])


def write_channels(folder: Path, *, turns: bool) -> Path:
    """Forty orders a day for 94 days, replayed by weeks. Dear orders are refunded more often, and those from the web.

    turns: from 2024-02-10 on it is those by phone instead. How many are refunded, and all that is known of an order
    beforehand, stay as they were, and so does most of what the champion knows: only who predicts better can see it.
    By log loss: few values of two features give few ranks, and the AUC hardly changes.
    Drift starts no retrain: the predictions of two features have few values, and those of the gate's fit are others.
    """
    path = write_tiny_problem(folder, orders=3760, replayed_days=1, days=94)
    text = path.read_text().replace('step="1d"', 'step="7d"').replace("Problem, Rel", "Policy, Problem, Rel")
    path.write_text(
        text.replace(
            "trials=4", 'trials=1, metric="log_loss", include=("amount", "channel"), policy=Policy(drift=False)'
        )
    )
    orders = folder / "orders.csv"
    header, *lines = orders.read_text().splitlines()
    orders.write_text("\n".join([header, *(_by_channel(line, turns) for line in lines)]) + "\n")
    return path


def _by_channel(line: str, turns: bool) -> str:
    number, who, placed, amount, channel, settled, _ = line.split(",")
    liked, disliked = ("phone", "web") if turns and placed >= "2024-02-10" else ("web", "phone")
    percent = 50 + 18 * ((channel == liked) - (channel == disliked)) + (20 if float(amount) > 20 else -20)
    refunded = amount if int(number) * 7919 % 100 < percent else "0.00"
    return ",".join([number, who, placed, amount, channel, settled, refunded])
