"""`make security`: attacks on a running installation, one file a group of attacks, collected in one report.

To add an attack, write a test with two marks: `security`, which keeps it out of the fast suite, and
`attack("what is tried", target="who")`; in its text, `{name}` stands for a parameter of the test. The test passes when
the attack fails; it skips, with the reason, where it cannot be tried. `record_property("observed", ...)` adds a detail.
The first line of the file's docstring is the group's title. `long` leaves an attack out of `make security QUICK=1`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.security import report
from tests.security.browser import hostile_site, start_browser
from tests.security.report import Result
from tests.security.target import Target, installation

RESULTS = pytest.StashKey[list[Result]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--security-report", type=Path, help="folder to write the report of the attacks to")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RESULTS] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    made: pytest.TestReport = yield
    mark = item.get_closest_marker("attack")
    if mark is not None and (made.when == "call" or (made.when == "setup" and not made.passed)):
        item.config.stash[RESULTS].append(_result(item, mark, made))
    return made


def _result(item: pytest.Item, mark: pytest.Mark, made: pytest.TestReport) -> Result:
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    outcome = {"passed": report.WITHSTOOD, "failed": report.SUCCEEDED, "skipped": report.NOT_TRIED}[made.outcome]
    observed = [str(value) for name, value in made.user_properties if name == "observed"]
    if made.skipped and isinstance(made.longrepr, tuple):
        observed.append(made.longrepr[2].removeprefix("Skipped: "))
    module = inspect.getmodule(getattr(item, "obj", None))
    return Result(
        group=(module.__doc__ or item.path.name).splitlines()[0].rstrip(".") if module else item.path.name,
        attack=str(mark.args[0]).format(**parameters),
        target=str(mark.kwargs["target"]).format(**parameters),
        outcome=outcome,
        observed="; ".join(observed),
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    folder = session.config.getoption("--security-report", default=None)
    if folder is not None:
        report.write(session.config.stash[RESULTS], folder)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.stash[RESULTS]:
        terminalreporter.write_line(report.summary(config.stash[RESULTS]))


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The installation that is attacked. Attacks leave it as it was, or say so."""
    with installation(tmp_path_factory.mktemp("attacked")) as up:
        yield up


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Selenium's driver of a headless Chromium."""
    started = start_browser(tmp_path_factory.mktemp("chromium"))
    try:
        yield started
    finally:
        started.quit()


@pytest.fixture
def foreign_page(browser: Any) -> Iterator[Any]:
    """The browser, showing a page of a foreign origin: http://evil.test at another port than any service."""
    with hostile_site() as port:
        browser.get(f"http://evil.test:{port}/")
        yield browser


@pytest.fixture(scope="session")
def security_tools() -> Path:
    """The bin folder of .venv-security (schemathesis, pip-audit); skips where it was not made."""
    folder = Path(__file__).parents[2] / ".venv-security" / "bin"
    if not folder.is_dir():
        pytest.skip("no .venv-security: run this by `make security`")
    return folder
