"""Bundles: saved, checked, loaded; explained."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from headrace.core.clock import HOUR
from headrace.core.errors import ConflictError, CorruptError, NotFoundError
from headrace.core.manifest import write_manifest
from headrace.models.bundle import CUTOFF, LABEL, PREDICTION, Bundle, manifest_digest, reference_profile
from headrace.models.design import Encoder
from headrace.models.entity_keys import ENTITY, entity_columns
from headrace.models.explain import explain
from headrace.models.families import split_config, warm_start
from headrace.models.recipe import Recipe, fit_recipe
from headrace.synthesis.language.definitions import RowColumn
from headrace.synthesis.primitives.finish import finish
from headrace.testing import model_data as examples

TABLE = examples.matrix()


def _bundle(family: int = 0) -> Bundle:
    encoder = Encoder.fit(TABLE)
    config = warm_start()[family]
    kind, own = split_config(config)
    recipe = Recipe(family=kind.name, config=own, rounds=20, rows=600)
    fitted = fit_recipe(recipe, encoder.encode(TABLE), examples.binary(TABLE), metric="auc", threads=1)
    kinds = {name: "categorical" if name == "carrier" else "numeric" for name in TABLE.column_names}
    return Bundle(
        problem="toy",
        service="toy_1",
        definitions=tuple(RowColumn(column=name, kind=kind) for name, kind in kinds.items()),  # type: ignore[arg-type]
        encoder=encoder,
        family=str(config["family"]),
        fitted=fitted,
        config=config,
        metric="auc",
        metrics={"tune_auc": 0.8},
        windows=examples.windows().describe(),
        lead_time={"low_s": 3600.0, "high_s": 7200.0},
        facts={"seed": 0},
        reference=reference_profile(TABLE, examples.binary(TABLE), fitted.predict(encoder.encode(TABLE)), seed=0),
    )


@pytest.mark.parametrize("family", [0, 1])
def test_loaded_it_is_the_same(family: int, tmp_path: Path) -> None:
    bundle = _bundle(family)
    digest = bundle.save(tmp_path / "b")
    loaded = Bundle.load(tmp_path / "b")
    assert digest == manifest_digest(tmp_path / "b")
    for name in ("problem", "service", "definitions", "encoder", "family", "config", "metric", "metrics"):
        assert getattr(loaded, name) == getattr(bundle, name)
    assert (loaded.windows, loaded.lead_time, loaded.facts) == (bundle.windows, bundle.lead_time, bundle.facts)
    np.testing.assert_array_equal(loaded.predict(TABLE), bundle.predict(TABLE))
    # x3 is all NaN, which Arrow calls different from itself
    kept = bundle.read_reference().drop_columns(["x3"])
    assert loaded.read_reference().drop_columns(["x3"]).equals(kept)


def test_a_loaded_bundle_can_be_saved_again(tmp_path: Path) -> None:
    first = _bundle().save(tmp_path / "a")
    assert Bundle.load(tmp_path / "a").save(tmp_path / "b") == first


def test_only_safe_formats(tmp_path: Path) -> None:
    for family in (0, 1):
        _bundle(family).save(tmp_path / str(family))
    suffixes = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert suffixes == {".json", ".txt", ".skops", ".parquet"}


@pytest.mark.parametrize("name", ["bundle.json", "model/model.txt", "reference.parquet", "manifest.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_damage_is_found_before_anything_is_opened(
    name: str, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _bundle().save(tmp_path / "b")
    path = tmp_path / "b" / name
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif damage == "truncate":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.unlink()
    monkeypatch.setattr("headrace.models.families.lightgbm.LightGBM.load", _must_not_be_called)
    with pytest.raises((CorruptError, NotFoundError)):
        Bundle.load(tmp_path / "b")


@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_a_table_is_compared_again_when_it_is_read(damage: str, tmp_path: Path) -> None:
    """A process that loaded a bundle yesterday reads its reference today."""
    gate = pa.table({"key": ["[1]"], "prediction": [0.5]})
    replace(_bundle(), gate=gate, held_out=gate).save(tmp_path / "b")
    loaded = Bundle.load(tmp_path / "b")
    assert loaded.gate_rows().equals(gate)
    assert loaded.read_held_out().equals(gate)
    for name, read in (
        ("reference.parquet", loaded.read_reference),
        ("gate.parquet", loaded.gate_rows),
        ("held_out.parquet", loaded.read_held_out),
    ):
        path = tmp_path / "b" / name
        data = path.read_bytes()
        path.unlink()
        if damage == "flip":
            path.write_bytes(bytes([*data[:50], data[50] ^ 1, *data[51:]]))
        with pytest.raises(CorruptError, match=name):
            read()


def test_an_extra_file_is_refused(tmp_path: Path) -> None:
    _bundle().save(tmp_path / "b")
    (tmp_path / "b" / "model" / "extra.pkl").write_bytes(b"")
    with pytest.raises(CorruptError, match=r"differ from the manifest.*extra\.pkl"):
        Bundle.load(tmp_path / "b")


def test_an_unknown_format_or_a_missing_field_is_named(tmp_path: Path) -> None:
    _bundle().save(tmp_path / "b")
    path = tmp_path / "b" / "bundle.json"
    data = json.loads(path.read_text())
    for changed, message in (({**data, "format": 99}, "format 99"), ({**data, "encoder": {}}, "names")):
        path.write_text(json.dumps(changed))
        write_manifest(tmp_path / "b")
        with pytest.raises(CorruptError, match=message):
            Bundle.load(tmp_path / "b")


def test_no_bundle_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Bundle.load(tmp_path / "nothing")


def test_never_overwrites(tmp_path: Path) -> None:
    _bundle().save(tmp_path / "b")
    with pytest.raises(ConflictError, match="never overwritten"):
        _bundle().save(tmp_path / "b")


def test_finish_makes_the_matrix_that_predict_takes() -> None:
    bundle = _bundle()
    instants = np.full(TABLE.num_rows, 5 * HOUR)
    row = {name: TABLE[name] for name in TABLE.column_names}
    finished = finish(bundle.definitions, {}, row, instants, instants)
    np.testing.assert_array_equal(bundle.predict(finished), bundle.predict(TABLE))


def test_reference_is_a_seeded_sample_in_order() -> None:
    n = 7000
    table = pa.table({"i": np.arange(n, dtype=float)})
    one = reference_profile(table, np.zeros(n), np.arange(n) / n, seed=3)
    assert one.num_rows == 5000
    assert (np.diff(one["i"].to_numpy()) > 0).all()
    np.testing.assert_allclose(one[PREDICTION].to_numpy(), one["i"].to_numpy() / n)
    assert set(one.column_names) == {"i", LABEL, PREDICTION}
    timed = reference_profile(table, np.zeros(n), np.arange(n) / n, cutoffs_us=np.arange(n) * 10, seed=3)
    np.testing.assert_array_equal(timed[CUTOFF].to_numpy(), one["i"].to_numpy() * 10)
    assert one.equals(reference_profile(table, np.zeros(n), np.arange(n) / n, seed=3))
    assert not one.equals(reference_profile(table, np.zeros(n), np.arange(n) / n, seed=4))


def test_reference_has_digests_of_entities_that_equal_those_of_logged_keys() -> None:
    n = 6000
    table = pa.table({"i": np.arange(n, dtype=float)})
    keys = pa.table({"carrier": ["AA", None] * (n // 2), "flight": np.arange(n) % 7})
    entities = {"carrier": ("carrier",), "number": ("carrier", "flight"), "plane": ("tail",)}
    found = reference_profile(table, np.zeros(n), np.zeros(n), join_keys=keys, entities=entities)
    assert [name for name in found.column_names if name.startswith(ENTITY)] == ["_entity_carrier", "_entity_number"]
    rows = found["i"].to_numpy().astype(int)
    logged = entity_columns(
        {"carrier": [("AA", None)[i % 2] for i in rows], "flight": [int(i % 7) for i in rows]}, entities
    )
    assert found["_entity_number"].to_numpy().tolist() == logged["_entity_number"].tolist()
    assert len(set(logged["_entity_number"].tolist())) == 14


def test_a_bundle_without_reference_says_so(tmp_path: Path) -> None:
    bundle = _bundle()
    bare = Bundle(**{**vars(bundle), "reference": None})
    bare.save(tmp_path / "b")
    with pytest.raises(NotFoundError, match="no reference profile"):
        Bundle.load(tmp_path / "b").read_reference()


@pytest.mark.parametrize("family", [0, 1])
def test_explains_what_matters(family: int, tmp_path: Path) -> None:
    bundle = _bundle(family)
    design = bundle.encoder.encode(TABLE)
    names = {"x0": "origin.MEAN(flights.dep_delay, 7d)"}
    told = explain(bundle.fitted, design, names, tmp_path / "shap.png", rows=300)
    assert told.plot.read_bytes()[:4] == b"\x89PNG"
    assert told.rows == 300
    assert told.table[0]["slug"] == "x0"
    assert told.table[0]["feature"] == names["x0"]
    sizes = [row["mean_abs_shap"] for row in told.table]
    assert sizes == sorted(sizes, reverse=True)
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def _must_not_be_called(*arguments: object) -> None:
    raise AssertionError("a file was opened before the manifest was checked")
