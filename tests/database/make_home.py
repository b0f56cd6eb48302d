"""Write the databases of a small home as SQL, for the upgrade test: run it with the release whose state is to be kept.

git worktree add /tmp/old RELEASE && PYTHONPATH=/tmp/old/src python tests/database/make_home.py homes/RELEASE
"""

from __future__ import annotations

import math
import sqlite3
import struct
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from headrace.core.clock import DAY
from headrace.monitor.outbox.message import Alert
from headrace.monitor.outbox.outbox import Outbox
from headrace.monitor.policy.decision import Acknowledgement, Window
from headrace.monitor.policy.finding import Finding
from headrace.monitor.policy.policy import decide
from headrace.prediction_log.log import Prediction, PredictionLog
from headrace.prediction_log.packed_features import FeatureNames, PackedFeatures
from headrace.registry.ledger import Ledger


def fill(root: Path) -> None:
    """Write a ledger, an outbox and a prediction log of the problem `shop`."""
    ledger = Ledger(root, "shop")
    ledger.promote("1", None, "first champion", {"auc": 0.75}, DAY)
    ledger.promote("2", "1", "better", {"auc": 0.8}, 2 * DAY)
    ledger.rollback(3 * DAY, "worse in production")
    ledger.set_challenger("3")
    ledger.begin_alias_write("champion", "1")
    ledger.finish_alias_write("champion", "1")
    outbox = Outbox(root, "shop")
    auc = Finding(name="auc", about="quality", effect=0.06)
    for day in (7, 14):
        window = Window(problem="shop", start_us=0, end_us=day * DAY, champion="1", findings=(auc,), judged=20)
        decision = decide(window)
        alerts = [Alert(id=f"{day}{letter}", decision_id=decision.id, title=letter, body="") for letter in "ba"]
        outbox.add(decision, now_us=day, alert=alerts[0])
    claim = outbox.claim(decision.id, "worker", now_us=20)
    assert claim is not None
    outbox.finish(claim, "promoted", "better", now_us=30, version="2", alerts=(alerts[1],))
    outbox.acknowledge(decision.id, Acknowledgement(who="Ada", note="seen", at_us=40))
    with PredictionLog(root, "shop") as log:
        log.append([prediction(number) for number in range(3)])


def prediction(number: int) -> Prediction:
    """Return the prediction with this number; an even one has packed features."""
    names = FeatureNames(names=("mean", "city", "gone"), texts=("city",))
    numbers = struct.pack("<2d", 1.5 + number, math.nan)
    packed = PackedFeatures(names, numbers, ["Bern"])
    return Prediction(
        id=f"p{number}",
        cutoff_us=number * DAY,
        made_us=number * DAY + 1,
        model_version="1",
        join_keys={"customer": number},
        request={"amount": 12.5},
        features=dict(packed) if number % 2 else packed,
        ticks={"shop__customer": DAY},
        statuses={"shop__customer": "FRESH"},
        probability=0.25 * number,
        source="api" if number else "score",
        row_key=[str(number)],
    )


def main(folder: Path) -> None:
    """Write each database of the home as <folder>/<part>.sql."""
    with tempfile.TemporaryDirectory() as temporary:
        fill(Path(temporary))
        for path in sorted(Path(temporary).glob("*/shop.db")):
            with closing(sqlite3.connect(path)) as connection:
                (serial,) = connection.execute("PRAGMA user_version").fetchone()
                script = "\n".join([*connection.iterdump(), f"PRAGMA user_version = {serial};"])
            (folder / f"{path.parent.name}.sql").write_text(script + "\n")


if __name__ == "__main__":
    main(Path(__file__).parent / sys.argv[1])
