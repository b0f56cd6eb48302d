"""`headrace keys` and `headrace audit-log`: a key is printed once, and the log says who made it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.command import headrace


def test_a_key_is_made_rotated_and_revoked(tmp_path: Path) -> None:
    made = headrace("keys", "create", "shop", "--scopes", "read,predict", "--expires", "90d", home=tmp_path)
    key = made.out.strip()
    assert key.startswith("headrace_")
    assert headrace("keys", "create", "shop", home=tmp_path).code == 1
    new = json.loads(headrace("keys", "rotate", "shop", "--overlap", "2h", "--json", home=tmp_path).out)
    assert new["key"] != key
    assert new["scopes"] == ["predict", "read"]
    listed = headrace("keys", "list", "--json", home=tmp_path).out
    assert [one["state"] for one in json.loads(listed)["keys"]] == ["active", "active"]
    assert key not in listed
    assert new["key"] not in listed
    assert len(json.loads(headrace("keys", "revoke", "shop", "--json", home=tmp_path).out)["revoked"]) == 2
    assert headrace("keys", "revoke", "shop", home=tmp_path).code == 1
    shown = json.loads(headrace("audit-log", "show", "--json", home=tmp_path).out)["entries"]
    assert [one["action"] for one in shown] == ["key.create", "key.rotate", "key.revoke", "key.revoke"]
    head = json.loads(headrace("audit-log", "verify", "--json", home=tmp_path).out)["head"]
    assert headrace("audit-log", "verify", "--head", head, home=tmp_path).code == 0
    log = tmp_path / "access" / "audit.jsonl"
    log.write_text(log.read_text().replace("key.rotate", "key.create"))
    assert "line 2: was changed" in headrace("audit-log", "verify", home=tmp_path).err


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    for option, value in (("--scopes", "admin"), ("--expires", "soon"), ("--rate", "many")):
        done = headrace("keys", "create", "shop", option, value, home=tmp_path)
        assert done.code == 1
        assert repr(value) in done.err
    assert headrace("keys", "list", home=tmp_path).out.strip() == "no API keys"
