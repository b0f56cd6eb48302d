"""API keys: shown once, stored hashed, rotated with an overlap, revoked; and found in memory by a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.access.key_file import KeyFile
from headrace.access.key_ring import LOOK_S, KeyRing
from headrace.access.keys import Key, contains_key, digest_of, id_of, matches
from headrace.access.rates import Rate
from headrace.access.scopes import Scope, scopes_of
from headrace.core.errors import ConflictError, CorruptError, DeclarationError, NotFoundError

NOW = 1_700_000_000


def record(name: str = "shop", **changes: object) -> Key:
    given = {"id": "", "digest": "", "name": name, "scopes": frozenset({Scope.PREDICT}), "created_s": NOW, **changes}
    return Key(**given)  # type: ignore[arg-type]


def test_the_file_holds_records_and_no_key(tmp_path: Path) -> None:
    file = KeyFile(path=tmp_path / "keys.json")
    made, text = file.create(
        record(problems=frozenset({"flights"}), rate=Rate(count=600, period_s=60), expires_s=NOW + 9)
    )
    assert file.records() == (made,)
    stored = file.path.read_bytes()
    assert contains_key(text.encode())
    assert not contains_key(stored)
    assert text.rpartition("_")[2].encode() not in stored
    assert matches(made, text.encode())
    assert not matches(made, text.encode()[:-1] + b"!")


def test_keys_are_long_and_never_repeat(tmp_path: Path) -> None:
    file = KeyFile(path=tmp_path / "keys.json")
    texts = {file.create(record(f"client {number}"))[1] for number in range(20)}
    assert len(texts) == 20
    assert {len(text) for text in texts} == {9 + 12 + 1 + 43}
    assert all(id_of(text.encode()) for text in texts)
    for other in (b"", b"headrace_", b"headrace_0123456789ab_short", texts.pop().encode() + b"\n"):
        assert id_of(other) is None


def test_the_pepper_is_part_of_the_hash(tmp_path: Path) -> None:
    made, text = KeyFile(path=tmp_path / "keys.json", pepper="a").create(record())
    assert matches(made, text.encode(), "a")
    assert not matches(made, text.encode(), "b")
    assert not matches(made, text.encode())
    assert digest_of(b"key", "a") != digest_of(b"key")


def test_one_active_key_a_name(tmp_path: Path) -> None:
    file = KeyFile(path=tmp_path / "keys.json")
    file.create(record())
    with pytest.raises(ConflictError, match="is active"):
        file.create(record())
    file.revoke("shop", now_s=NOW)
    file.create(record())
    assert [key.state(NOW) for key in file.records()] == ["revoked", "active"]


def test_both_keys_are_valid_while_a_rotation_overlaps(tmp_path: Path) -> None:
    file = KeyFile(path=tmp_path / "keys.json")
    old, _ = file.create(record())
    new, _ = file.rotate("shop", now_s=NOW, overlap_s=100)
    assert new.scopes == old.scopes
    assert [key.state(NOW + 99) for key in file.records()] == ["active", "active"]
    assert [key.state(NOW + 100) for key in file.records()] == ["expired", "active"]
    # An older end is not put off by a second rotation.
    file.rotate("shop", now_s=NOW + 50, overlap_s=100)
    assert [key.expires_s for key in file.records()] == [NOW + 100, NOW + 150, None]


def test_a_key_is_revoked_by_its_id_or_all_of_a_name(tmp_path: Path) -> None:
    file = KeyFile(path=tmp_path / "keys.json")
    old, _ = file.create(record())
    new, _ = file.rotate("shop", now_s=NOW, overlap_s=100)
    assert [key.id for key in file.revoke(old.id, now_s=NOW)] == [old.id]
    assert [key.id for key in file.revoke("shop", now_s=NOW)] == [new.id]
    with pytest.raises(NotFoundError, match="no such key is active"):
        file.revoke("shop", now_s=NOW)
    with pytest.raises(NotFoundError, match="no such key is active"):
        file.rotate("shop", now_s=NOW, overlap_s=1)


def test_a_damaged_file_is_named_and_leaves_no_key(tmp_path: Path) -> None:
    file = KeyFile(path=tmp_path / "keys.json")
    _, text = file.create(record())
    ring = KeyRing(file, clock_s=lambda: 0.0)
    assert ring.find(text.encode()) is not None
    file.path.write_text(file.path.read_text().replace('"predict"', '"everything"'))
    with pytest.raises(CorruptError, match=r"keys\.json"):
        file.records()
    assert KeyRing(file, clock_s=lambda: 0.0).find(text.encode()) is None


def test_a_server_sees_a_change_of_the_file_within_half_a_second(tmp_path: Path) -> None:
    now = [0.0]
    file = KeyFile(path=tmp_path / "keys.json")
    ring = KeyRing(file, clock_s=lambda: now[0])
    assert ring.find(b"headrace_") is None
    _, text = file.create(record())
    assert ring.find(text.encode()) is None
    now[0] += LOOK_S
    found = ring.find(text.encode())
    assert found is not None
    assert found.state(NOW) == "active"
    file.revoke("shop", now_s=NOW)
    now[0] += LOOK_S
    found = ring.find(text.encode())
    assert found is not None
    assert found.state(NOW) == "revoked"
    file.path.unlink()
    now[0] += LOOK_S
    assert ring.find(text.encode()) is None


def test_a_key_of_the_same_id_with_another_secret_is_unknown(tmp_path: Path) -> None:
    file = KeyFile(path=tmp_path / "keys.json")
    _, text = file.create(record())
    ring = KeyRing(file, clock_s=lambda: 0.0)
    for place in (len(text) - 1, 22, 40):
        other = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        assert ring.find(other.encode()) is None


@pytest.mark.parametrize("names", [[], ["predict", "admin"], ["PREDICT"]])
def test_wrong_scopes_are_named(names: list[str]) -> None:
    with pytest.raises(DeclarationError, match="found: predict, explain, events, read, metrics, operate"):
        scopes_of(names)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 81])
def test_a_name_is_printable(tmp_path: Path, name: str) -> None:
    with pytest.raises(DeclarationError, match="cannot be used"):
        KeyFile(path=tmp_path / "keys.json").create(record(name))
