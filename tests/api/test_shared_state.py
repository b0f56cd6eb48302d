"""What the processes of one server share: counts in memory where the disk may be full, and the secret of forms."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from headrace.api import processes
from headrace.api.page.csrf import FormTokens, new_key
from headrace.api.processes import shared_metrics
from headrace.api.server import ServedProblems
from tests.api.paged import paged, token_of

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@pytest.fixture(autouse=True)
def _no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def test_counts_are_in_memory_and_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_MEMORY", tmp_path / "memory")
    (tmp_path / "memory").mkdir()
    with shared_metrics(tmp_path / "home", 8080):
        folder = Path(os.environ[VARIABLE])
        assert folder.parent == tmp_path / "memory"
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "counter_1.db").touch()
    assert VARIABLE not in os.environ
    assert not folder.exists()
    with shared_metrics(tmp_path / "home", 8081):
        assert Path(os.environ[VARIABLE]) != folder


def test_a_folder_that_others_can_write_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_MEMORY", tmp_path)
    with shared_metrics(tmp_path / "home", 8080):
        folder = Path(os.environ[VARIABLE])
    folder.mkdir()
    folder.chmod(0o777)
    with shared_metrics(tmp_path / "home", 8080):
        assert Path(os.environ[VARIABLE]) == tmp_path / "home" / "run" / "metrics-8080"
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with shared_metrics(tmp_path / "home", 8080):
        assert Path(os.environ[VARIABLE]) == tmp_path / "home" / "run" / "metrics-8080"


def test_a_folder_of_the_environment_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / "counter_1.db").touch()
    with shared_metrics(tmp_path / "home", 8080):
        assert os.environ[VARIABLE] == str(tmp_path)
    assert (tmp_path / "counter_1.db").exists()


def test_a_form_of_one_process_is_accepted_by_another_and_by_no_other_server() -> None:
    server = ServedProblems(references=("flights",), host="localhost")
    one, other = FormTokens(server.form_key), FormTokens(pickle.loads(pickle.dumps(server)).form_key)
    cookie = one.new_cookie()
    assert other.is_valid(cookie, one.token(cookie))
    stranger = FormTokens(ServedProblems(references=("flights",), host="localhost").form_key)
    assert not stranger.is_valid(cookie, one.token(cookie))
    assert "form_key" not in repr(server)


@pytest.mark.parametrize("same", [True, False])
def test_a_page_of_one_process_is_sent_to_another(tmp_path: Path, same: bool) -> None:
    key = new_key()
    with (
        paged(tmp_path / "one", form_key=key) as one,
        paged(tmp_path / "other", form_key=key if same else None) as other,
    ):
        form = {"token": token_of(one.get("/").text), "who": "Ada"}
        other.cookies = one.cookies
        answer = other.post("/alerts/none-such/acknowledge", data=form)
    assert answer.status_code == (409 if same else 403)
