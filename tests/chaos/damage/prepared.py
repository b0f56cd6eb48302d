"""A home in which everything was done once: its run, seventeen days of production, an alert, a retrain, an answer."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.core.clock import BEFORE_ALL
from headrace.pipeline.monitoring.monitor_window import draw, link
from headrace.pipeline.operations.retraining import retrain
from headrace.pipeline.production.intake import ingest
from headrace.problems.catalogue import load_problem
from headrace.services.lifecycle import _write_record
from headrace.services.processes import ProcessRecord
from tests.chaos.damage.case import serve
from tests.pipeline.shop import Shop
from tests.pipeline.turned import context_of, live, look, wall_us, write_turned


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Folders. home: where every case works, since MLflow's database names it. whole: what it is copied from; earlier:
    the same home before it was monitored and retrained, where other versions of files are taken from."""

    folder: Path

    @property
    def problem(self) -> Path:
        return self.folder / "problem" / "problem.py"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def whole(self) -> Path:
        return self.folder / "whole"

    @property
    def earlier(self) -> Path:
        return self.folder / "earlier"

    def files(self) -> list[str]:
        """Every file of the whole home, by relative path."""
        return sorted(path.relative_to(self.whole).as_posix() for path in self.whole.rglob("*") if path.is_file())

    def restore(self) -> Path:
        """Make the home whole again."""
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self.whole, self.home)
        return self.home


def prepare(folder: Path) -> Prepared:
    """Make it all; a minute. In a process of its own: whoever copies the home may not have its databases open."""
    made = Prepared(folder=folder)
    shop = Shop(path=write_turned(folder / "problem"), home=made.home)
    shop.finish()
    context = context_of(shop)
    live(context, 8)
    _copy(made.home, made.earlier)
    live(context, 9)
    report = look(context)
    draw(context, report)
    link(context, report)
    retrain(context, report.decision.id, holder="test", now_us=wall_us)
    _refuse_a_batch(made)
    shop.finish()  # leaves the run that `status` shows
    serve(made.problem, made.home)
    _write_record(
        made.home,
        [ProcessRecord(name="API", pid=2**22 + 1, created=0.0, mark="m", log="api.log", url="http://127.0.0.1:1")],
    )
    _copy(made.home, made.whole)
    return made


def _refuse_a_batch(made: Prepared) -> None:
    """A batch without its key goes to quarantine, with a page of what is wrong with it."""
    rows: Any = pa.table({"customer_id": pa.array([None, "c01"]), "city": ["Bern", "Chur"], "discount": [0.1, -5.0]})
    ingest(load_problem(str(made.problem)), made.home, {"customers": rows}, arrival_us=BEFORE_ALL, bootstrap=True)


def _copy(home: Path, to: Path) -> None:
    """As a machine leaves it that was shut down: databases without what only a running process needs."""
    for path in home.rglob("*.db"):
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copytree(home, to, ignore=shutil.ignore_patterns("*-wal", "*-shm"))


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
