"""Settings: a wrong one is one clear error, an empty one is not set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.core.errors import DeclarationError
from headrace.core.settings import settings


@pytest.fixture(autouse=True)
def unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings are read once per process: not here. No .env is about."""
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize(
    ("variable", "value"),
    [("HEADRACE_WORKERS", "0"), ("HEADRACE_API_PORT", "abc"), ("HEADRACE_STALE_POLICY", "shrug")],
)
def test_a_wrong_setting_is_named(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(DeclarationError, match=rf"^setting {variable}: .*found: {value}\. correct it"):
        settings()


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_HOME", "")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert settings().home == Path(".headrace")
    assert settings().mlflow_tracking_uri is None
