"""Signed bundles: signed when they are registered, verified before they are loaded, refused if changed or unsigned."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headrace.access.signing import new_pair, sign, verify
from headrace.core.errors import ConflictError, CorruptError, DeclarationError
from headrace.core.manifest import write_manifest
from headrace.core.settings import settings
from headrace.registry.client import KEY, connect
from headrace.registry.models import download, register
from headrace.registry.signatures import SIGNATURE
from headrace.registry.tracking import log_study
from tests.registry.test_registry_models import make_bundle

pytestmark = pytest.mark.slow  # MLflow's store, and its client


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return new_pair(tmp_path / "pair", None)


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets variables of the settings, which are read again."""

    def choose(**variables: Path | str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(f"HEADRACE_{name.upper()}", str(value))
        settings.cache_clear()

    monkeypatch.chdir(tmp_path)
    yield choose
    settings.cache_clear()


def registered(root: Path, problem: str, uri: str) -> str:
    run_id = log_study(uri, problem, key="study", study_name="study", trials=())
    folder = make_bundle(root / "bundle", problem) if not (root / "bundle").exists() else root / "bundle"
    return register(folder, problem=problem, metrics={}, tracking_uri=uri, root=root, run_id=run_id)


def test_a_signed_version_loads_here_and_on_a_machine_that_has_only_mlflow(
    tmp_path: Path, tracking_uri: str, problem_name: str, pair: tuple[Path, Path], chosen: Callable[..., None]
) -> None:
    chosen(signing_key=pair[0], verification_key=pair[1])
    version = registered(tmp_path, problem_name, tracking_uri)
    assert connect(tracking_uri).get_model_version(problem_name, version).tags[SIGNATURE]
    here = download(problem_name, version, tracking_uri, tmp_path)
    there = download(problem_name, version, tracking_uri, tmp_path / "there")
    assert (here / "manifest.json").read_bytes() == (there / "manifest.json").read_bytes()
    # It needs MLflow no more: the signature lies beside the copy.
    assert download(problem_name, version, "http://127.0.0.1:9", tmp_path / "there") == there


def test_an_unsigned_version_is_refused_until_it_is_registered_with_a_key(
    tmp_path: Path, tracking_uri: str, problem_name: str, pair: tuple[Path, Path], chosen: Callable[..., None]
) -> None:
    version = registered(tmp_path, problem_name, tracking_uri)
    chosen(verification_key=pair[1])
    for root in (tmp_path, tmp_path / "there"):
        with pytest.raises(CorruptError, match=f"{problem_name} version {version}: is not signed"):
            download(problem_name, version, tracking_uri, root)
    chosen(signing_key=pair[0])
    assert registered(tmp_path, problem_name, tracking_uri) == version
    for root in (tmp_path, tmp_path / "there"):
        download(problem_name, version, tracking_uri, root)


def test_files_that_were_changed_with_their_manifest_are_named(
    tmp_path: Path, tracking_uri: str, problem_name: str, pair: tuple[Path, Path], chosen: Callable[..., None]
) -> None:
    """Who can write to the home and to MLflow puts another model there, with checksums and tags to match."""
    chosen(signing_key=pair[0], verification_key=pair[1])
    version = registered(tmp_path, problem_name, tracking_uri)
    copy = download(problem_name, version, tracking_uri, tmp_path)
    forged = tmp_path / "forged"
    shutil.copytree(copy, forged)
    model = next(path for path in forged.rglob("*.txt"))
    model.write_text(model.read_text() + "\n")
    (forged / "manifest.json").unlink()
    write_manifest(forged)
    chosen(signing_key=new_pair(tmp_path / "other", None)[0])
    other = registered_as(forged, tmp_path, problem_name, tracking_uri)
    client = connect(tracking_uri)
    with pytest.raises(CorruptError, match="not of HEADRACE_VERIFICATION_KEY"):
        download(problem_name, other, tracking_uri, tmp_path)
    signature = client.get_model_version(problem_name, version).tags[SIGNATURE]
    client.set_model_version_tag(problem_name, other, SIGNATURE, signature)
    with pytest.raises(CorruptError, match=rf"{model.name}.* is not as it was signed"):
        download(problem_name, other, tracking_uri, tmp_path / "there")
    assert not (tmp_path / "there" / "registry" / problem_name / "bundles").exists()


def registered_as(folder: Path, root: Path, problem: str, uri: str) -> str:
    run_id = log_study(uri, problem, key="forged", study_name="forged", trials=())
    return register(folder, problem=problem, metrics={}, tracking_uri=uri, root=root, run_id=run_id)


def test_signing_again_changes_nothing(
    tmp_path: Path, tracking_uri: str, problem_name: str, pair: tuple[Path, Path], chosen: Callable[..., None]
) -> None:
    chosen(signing_key=pair[0], verification_key=pair[1])
    version = registered(tmp_path, problem_name, tracking_uri)
    before = dict(connect(tracking_uri).get_model_version(problem_name, version).tags)
    assert registered(tmp_path, problem_name, tracking_uri) == version
    assert dict(connect(tracking_uri).get_model_version(problem_name, version).tags) == before
    assert {KEY, SIGNATURE} <= set(before)


def _change(folder: Path) -> None:
    (folder / "a.txt").write_text("b")


def _add(folder: Path) -> None:
    (folder / ".gitattributes").write_text("b")


def _remove(folder: Path) -> None:
    (folder / "below" / "c.txt").unlink()


@pytest.mark.parametrize(("attack", "name"), [(_change, "a.txt"), (_add, ".gitattributes"), (_remove, "below/c.txt")])
@pytest.mark.parametrize("password", [None, "pass word"])
def test_a_signature_covers_all_files(
    tmp_path: Path, attack: Callable[[Path], None], name: str, password: str | None
) -> None:
    folder, (private, public) = tmp_path / "model", new_pair(tmp_path / "pair", password)
    (folder / "below").mkdir(parents=True)
    for path in ("a.txt", "below/c.txt"):
        (folder / path).write_text("a")
    signature = sign(folder, private, password)
    moved = folder.rename(tmp_path / "moved")
    verify(moved, signature, public, where="shop")
    attack(moved)
    with pytest.raises(CorruptError, match=rf"^shop: .*{name} is not as it was signed"):
        verify(moved, signature, public, where="shop")


@pytest.mark.parametrize("signature", ["", "{}", "no JSON", '{"mediaType": "x"}'])
def test_what_is_no_signature_is_refused(tmp_path: Path, pair: tuple[Path, Path], signature: str) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(CorruptError, match="or is damaged"):
        verify(tmp_path / "model", signature, pair[1], where="shop")


def test_keys_are_private_encrypted_and_never_overwritten(tmp_path: Path) -> None:
    private, public = new_pair(tmp_path / "pair", "pass word")
    assert private.stat().st_mode & 0o077 == 0
    assert b"ENCRYPTED" in private.read_bytes()
    with pytest.raises(ConflictError, match="a pair of keys is there"):
        new_pair(tmp_path / "pair", None)
    (tmp_path / "model").mkdir()
    for password in (None, "other"):
        with pytest.raises(DeclarationError, match="HEADRACE_SIGNING_KEY"):
            sign(tmp_path / "model", private, password)
    with pytest.raises(DeclarationError, match="HEADRACE_VERIFICATION_KEY"):
        verify(tmp_path / "model", "{}", tmp_path / "nowhere.pem", where="shop")
    assert b"PUBLIC KEY" in public.read_bytes()
