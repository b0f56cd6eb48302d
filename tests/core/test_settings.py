"""Settings: a wrong one is one clear error, an empty one is not set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.core.errors import DeclarationError
from headrace.core.settings import byte_size, settings


@pytest.fixture(autouse=True)
def unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings are read once per process: not here. No .env is about."""
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HEADRACE_WORKERS", "0"),
        ("HEADRACE_API_PORT", "abc"),
        ("HEADRACE_STALE_POLICY", "shrug"),
        ("HEADRACE_MAX_MEMORY", "much"),
        ("HEADRACE_MAX_MEMORY", "0"),
    ],
)
def test_a_wrong_setting_is_named(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(DeclarationError, match=rf"^setting {variable}: .*found: {value}\. correct it"):
        settings()


def test_a_home_in_a_bucket_is_refused_rather_than_made_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_HOME", "s3://key:secret@bucket/home")
    with pytest.raises(
        DeclarationError, match=r"^setting HEADRACE_HOME: .*lake may be in S3 \(HEADRACE_LAKE"
    ) as raised:
        settings()
    assert "secret" not in str(raised.value)


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_HOME", "")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert settings().home == Path(".headrace")
    assert settings().mlflow_tracking_uri is None


def test_sizes_are_read_as_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings().max_memory is None
    settings.cache_clear()
    monkeypatch.setenv("HEADRACE_MAX_MEMORY", "1.5GB")
    assert settings().max_memory == 1_500_000_000
    assert [byte_size(text, where="-") for text in ("2GB", "512 MB", "1GiB", "77")] == [
        2 * 10**9,
        512 * 10**6,
        2**30,
        77,
    ]


@pytest.mark.parametrize("text", ["", "much", "-1GB", "0", "2 bananas"])
def test_what_is_no_size_is_one_clear_error(text: str) -> None:
    with pytest.raises(DeclarationError, match=r"^--max-memory: .* is no size\. write it as 2GB"):
        byte_size(text, where="--max-memory")


@pytest.mark.parametrize("address", ["slack://tokenA/tokenB/hunter22", "mailtos://me:hunter22@example.org", "hunter22"])
def test_a_wrong_block_is_not_shown_for_it_may_be_an_address(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HEADRACE_ALERT_BLOCK", f"{address}!")
    with pytest.raises(DeclarationError, match=r"^setting HEADRACE_ALERT_BLOCK: ") as caught:
        settings()
    assert "hunter22" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_wrong_setting_is_shown_without_the_secrets_of_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_MLFLOW_PORT", "http://me:hunter22@host:5000")
    with pytest.raises(DeclarationError, match=r"HEADRACE_MLFLOW_PORT: .*found: http://\*\*\*@host:5000") as caught:
        settings()
    assert "hunter22" not in str(caught.value)
