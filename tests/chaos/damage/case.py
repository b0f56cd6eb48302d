"""One case in a process of its own: a damaged home is read by `status`, by serving and by the next run."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import sqlite3
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace.core.errors import HeadraceError
from headrace.core.machine import machine_error

READERS = ("status", "serving", "run", "advance")
ROW = {"customer_id": "c03", "placed": "2024-02-28T21:40:00Z", "amount": 425.0, "channel": "web"}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a reader came to. code: exit code; 500: an answer that nobody meant. out: standard output. said: that, log
    and errors. result: all that damage must not change. trace: of an error that nobody meant. fix: whether the error
    says what to do."""

    code: int = 0
    out: str = ""
    said: str = ""
    result: Any = None
    trace: str = ""
    error: str = ""
    fix: bool = True


@dataclass
class _Log(logging.Handler):
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(logging.WARNING)

    def __hash__(self) -> int:
        return id(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()}")


def read(problem: Path, home: Path, readers: Sequence[str] = READERS) -> dict[str, Seen]:
    """Readers, one after the other, on one home."""
    known = {"status": _status, "shown": _shown, "serving": _serving, "run": _run, "advance": _advance}
    return {name: known[name](problem, home) for name in readers}


def _watched(work: Callable[[], Any]) -> Seen:
    """Do it; what was said and how it ended."""
    out, err, log = io.StringIO(), io.StringIO(), _Log()
    logging.getLogger().addHandler(log)
    code, trace, told, result, fix = 0, "", "", None, True
    try:
        with redirect_stdout(out), redirect_stderr(err):
            try:
                result = work()
            except HeadraceError as error:
                code, told = error.exit_code, str(error)
                fix = bool(error.fix and error.where)
            except SystemExit as exit_:
                code = int(exit_.code or 0)
            except BaseException:
                trace = traceback.format_exc()
    finally:
        logging.getLogger().removeHandler(log)
    said = "\n".join([out.getvalue(), err.getvalue(), *log.lines])
    if "Traceback (most recent" in said:
        trace = trace or said
    return Seen(code=code, out=out.getvalue(), said=said, result=result, trace=trace, error=told, fix=fix)


def _command(*arguments: str) -> None:
    """A command, with its errors as `headrace.cli.main` tells them."""
    from headrace.cli import app

    try:
        app(list(arguments), standalone_mode=False)
    except HeadraceError:
        raise
    except Exception as error:
        if (refused := machine_error(error)) is not None:
            raise refused from error
        raise


def _shown(problem: Path, home: Path) -> Seen:
    """`headrace status` and `headrace alerts`."""
    commands = {name: (name, str(problem), "--json", "--home", str(home)) for name in ("status", "alerts")}
    return _together(commands)


def _status(problem: Path, home: Path) -> Seen:
    """`headrace status`, `headrace alerts` and `headrace monitor`."""
    commands = {name: (name, str(problem), "--json", "--home", str(home)) for name in ("status", "alerts")}
    return _together({**commands, "monitor": ("monitor", str(problem), "--home", str(home))})


def _together(commands: Mapping[str, Sequence[str]]) -> Seen:
    """Several commands as one: the first that fails, else what all of them print."""
    found = {}
    for name, arguments in commands.items():
        found[name] = _watched(lambda arguments=arguments: _command(*arguments))
        if found[name].trace:
            return found[name]
    refused = next((seen for seen in found.values() if seen.code), None)
    if refused is not None:
        return refused
    said = "\n".join(seen.said for seen in found.values())
    return Seen(said=said, result={name: seen.out for name, seen in found.items()})


def serve(problem: Path, home: Path) -> dict[str, Any]:
    """What /readyz and /predict answer."""
    from starlette.testclient import TestClient

    from headrace.api.app import build_app
    from headrace.api.server import production_clock
    from headrace.problems.catalogue import load_problem
    from headrace.serving.service import open_service

    declared = load_problem(str(problem))
    uri = f"sqlite:///{home / 'mlflow' / 'mlflow.db'}"
    service = open_service(home, declared, uri, production_clock(home, declared))
    service.follower._look() if hasattr(service.follower, "_look") else _follow(service)
    try:
        client = TestClient(build_app(service), raise_server_exceptions=False, base_url="http://localhost")
        ready, answer = client.get("/readyz"), client.post("/predict", json=ROW)
    finally:
        service.log.close()
    return {"ready": (ready.status_code, ready.json()), "answer": (answer.status_code, answer.json())}


def _follow(service: Any) -> None:
    """One look at the ledger, as the follower's thread does it: it logs what goes wrong."""
    try:
        service.follower.refresh()
    except Exception as error:
        logging.getLogger("headrace.serving.follow").error("the ledger could not be read: %s", error)


def _serving(problem: Path, home: Path) -> Seen:
    seen = _watched(lambda: serve(problem, home))
    if seen.result is None:
        return seen
    (ready, state), (code, answer) = seen.result["ready"], seen.result["answer"]
    if 500 in (ready, code):
        return Seen(code=500, said=seen.said, trace=f"500 {state} {answer}\n{seen.said}")
    if code != 200:
        told = answer["error"]
        note = "" if ready != 200 else " (readyz says ready)"
        return Seen(
            code=code, said=seen.said, error=json.dumps(told) + note, fix=not note and bool(told["fix"] or state)
        )
    ages = {view: age["status"] for view, age in answer["features"].items()}
    result = {"probability": answer["probability"], "version": answer["model_version"], "ages": ages, "ready": ready}
    return Seen(said=seen.said, result=result)


def _run(problem: Path, home: Path) -> Seen:
    return _to_the_end(_watched(lambda: _command("run", str(problem), "--trials", "2", "--home", str(home))), home)


def _advance(problem: Path, home: Path) -> Seen:
    """A day more of production: a batch comes, is validated and scored, and the online store is refreshed."""
    return _to_the_end(_watched(lambda: _command("advance", str(problem), "--home", str(home))), home)


def _to_the_end(seen: Seen, home: Path) -> Seen:
    return Seen(**{**seen.__dict__, "result": outcome(home) if not seen.code and not seen.trace else None})


def outcome(home: Path) -> dict[str, Any]:
    """All of a home that damage must not change, read without Headrace."""
    queries = {
        "champion": ("ledger/shop.db", "SELECT version, previous FROM change ORDER BY sequence"),
        "metrics": ("ledger/shop.db", "SELECT version, metrics, barred FROM version ORDER BY 1"),
        "decisions": ("outbox/shop.db", "SELECT id, kind, body, outcome, version FROM decision ORDER BY 1"),
        "predictions": (
            "predictions/shop.db",
            "SELECT id, probability, model_version FROM predictions WHERE source = 'score' ORDER BY 1",
        ),
        "online": ("store/online.db", "SELECT * FROM shop__customer_id ORDER BY 1"),
        "aliases": ("mlflow/mlflow.db", "SELECT alias, version FROM registered_model_aliases ORDER BY 1"),
    }
    sums = {"training sets": "stages/shop/training-set/*/*.parquet", "lake": "lake/shop/tables/*/*/rows.parquet"}
    return {
        "clock": _attempt(lambda: json.loads((home / "lake" / "shop" / "clock.json").read_bytes())["now_us"]),
        **{name: sorted(_digest(path) for path in home.glob(pattern)) for name, pattern in sums.items()},
        **{
            name: _attempt(lambda path=path, query=query: _rows(home / path, query))
            for name, (path, query) in queries.items()
        },
    }


def _attempt(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Exception as error:
        return f"unreadable: {type(error).__name__} {error}"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchall()
