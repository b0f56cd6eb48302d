"""Secrets from files: `NAME_FILE` sets NAME, and what is wrong is named without the secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.core.errors import DeclarationError
from headrace.core.secret_files import SECRET_VARIABLES, read_secret_files


@pytest.mark.parametrize("name", SECRET_VARIABLES)
def test_every_secret_can_be_in_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("pa ss\n")
    variables = {f"{name}_FILE": str(tmp_path / "secret"), "OTHER_FILE": "/nowhere"}
    read_secret_files(variables)
    assert variables[name] == "pa ss"
    read_secret_files(variables)  # a child of this process reads it again


@pytest.mark.parametrize("content", [b"", b"\n", b"a\0b", b"\xff"])
def test_a_file_without_a_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(DeclarationError, match="HEADRACE_ALERT_URL_FILE"):
        read_secret_files({"HEADRACE_ALERT_URL_FILE": str(tmp_path / "secret")})


def test_a_file_that_is_missing_or_disagrees_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="cannot be read"):
        read_secret_files({"HEADRACE_AUDIT_KEY_FILE": str(tmp_path / "secret")})
    (tmp_path / "secret").write_text("planted-1")
    variables = {"HEADRACE_AUDIT_KEY_FILE": str(tmp_path / "secret"), "HEADRACE_AUDIT_KEY": "planted-2"}
    with pytest.raises(DeclarationError, match="HEADRACE_AUDIT_KEY is set too") as refused:
        read_secret_files(variables)
    assert "planted" not in str(refused.value)
