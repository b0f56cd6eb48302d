"""The model bundle: one folder with everything that serving needs, in formats that cannot execute code.

bundle.json         problem, feature service, definitions, encoder, metrics, windows, lead times
model/              the family's own file (LightGBM text, skops), or a folder for each member of an ensemble
reference.parquet   sample of the training rows with label, prediction and cutoff, for drift tests
gate.parquet        labels and predictions of the gate window, by the recipe fitted before that window
held_out.parquet    sample of the gate window: features, digests of entities, labels and predictions of gate.parquet
manifest.json       sha256 of every other file, checked before any of them is opened
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core import parquet
from headrace.core.errors import ConflictError, CorruptError, NotFoundError
from headrace.core.files import read_json, staged_folder, write_json
from headrace.core.fingerprint import file_digest
from headrace.core.manifest import Manifest, check_manifest, write_manifest
from headrace.lake.keys import key_value
from headrace.models.design import Encoder, Predictions
from headrace.models.ensemble import families_of, load_fitted
from headrace.models.entity_keys import entity_columns
from headrace.models.families.protocol import Fitted
from headrace.synthesis.language.definitions import Definition, from_json, to_json

_FORMAT = 1
_REFERENCE, _GATE, _HELD_OUT = "reference.parquet", "gate.parquet", "held_out.parquet"
_REFERENCE_ROWS = 5_000
#: Columns of the reference besides features. A slug never starts with an underscore.
LABEL, PREDICTION, CUTOFF = "_label", "_prediction", "_cutoff"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A trained model and all steps from stored feature values to a prediction.

    Attributes:
        problem: Name of the problem.
        service: Feature service that it reads.
        definitions: Its features.
        encoder: From a feature matrix to a design matrix.
        family: Name of the model family, or "ensemble".
        fitted: The model.
        config: Config of the winning trial.
        metric: Name of the metric by which it was selected.
        metrics: Metric values by name, such as "tune_auc".
        windows: `Windows.describe()`.
        lead_time: {"low_s", "high_s"}: usual time from cutoff to event in training, in seconds.
        facts: Further facts for reports.
        reference: Result of `reference_profile`; of a loaded bundle read on demand by `read_reference`.
        gate: Columns `key` (text), `prediction`, `label`, `cutoff` (us); read on demand by `gate_rows`.
        held_out: Result of `reference_profile` on gate rows, with entities; read on demand by `read_held_out`.
        folder: Folder that it was loaded from.
        manifest: Manifest of that folder.
    """

    problem: str
    service: str
    definitions: tuple[Definition, ...]
    encoder: Encoder
    family: str
    fitted: Fitted
    config: Mapping[str, Any]
    metric: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    windows: Mapping[str, Any] = field(default_factory=dict)
    lead_time: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    reference: pa.Table | None = None
    gate: pa.Table | None = None
    held_out: pa.Table | None = None
    folder: Path | None = None
    manifest: Manifest | None = field(default=None, repr=False, compare=False)

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the families whose code predicts: those of the members for an ensemble."""
        return families_of(self.family, self.fitted)

    def predict(self, matrix: pa.Table, *, threads: int = 1) -> Predictions:
        """Predict [n], the probability of a true label or a number, for a feature matrix [n, d]."""
        return self.fitted.predict(self.encoder.encode(matrix), threads=threads)

    def read_reference(self) -> pa.Table:
        """Return the reference profile of up to 5,000 rows.

        Its columns are features by slug, `_label`, `_prediction`, `_cutoff` (us) and a digest of each entity's keys
        (`entity_keys`). Bundles of earlier versions have no `_cutoff`, or no digests.

        Raises:
            NotFoundError: The bundle has no reference profile.
        """
        if self.reference is not None:
            return self.reference
        if self.manifest is None or _REFERENCE not in self.manifest.sums:
            raise NotFoundError("this bundle has no reference profile", where=f"bundle of {self.problem}")
        return parquet.read(self.manifest.path(_REFERENCE))

    def read_gate(self) -> dict[str, float]:
        """Return row key (JSON text) -> prediction in the gate window; empty where the bundle has no gate rows."""
        table = self.gate_rows()
        return dict(zip(*(table[name].to_pylist() for name in ("key", "prediction")), strict=True)) if table else {}

    def gate_rows(self) -> pa.Table | None:
        """Return the rows of the gate window, None where there are none; earlier bundles lack label and cutoff."""
        if self.gate is None and self.manifest is not None and _GATE in self.manifest.sums:
            return parquet.read(self.manifest.path(_GATE))
        return self.gate

    def read_held_out(self) -> pa.Table | None:
        """Return up to 5,000 gate rows: features by slug, digests of entities, `_label`, `_prediction`, `_cutoff` (us).

        Predictions are by the recipe fitted before the gate window. None for bundles of earlier versions.
        """
        if self.held_out is None and self.manifest is not None and _HELD_OUT in self.manifest.sums:
            return parquet.read(self.manifest.path(_HELD_OUT))
        return self.held_out

    def save(self, folder: Path) -> str:
        """Write the bundle to a new folder, atomically.

        Returns:
            The digest of its manifest.

        Raises:
            ConflictError: The folder is not empty.
        """
        if folder.exists() and any(folder.iterdir()):
            raise ConflictError("a bundle is never overwritten", where=str(folder), fix="save to a new folder")
        with staged_folder(folder) as staging:
            (staging / "model").mkdir()
            self.fitted.save(staging / "model")
            write_json(staging / "bundle.json", self._to_json())
            if self.reference is not None or self.folder is not None:
                parquet.write(self.read_reference(), staging / _REFERENCE)
            if gate := self.gate_rows():
                parquet.write(gate, staging / _GATE)
            if held_out := self.read_held_out():
                parquet.write(held_out, staging / _HELD_OUT)
            write_manifest(staging)
        return manifest_digest(folder)

    @classmethod
    def load(cls, folder: Path) -> Bundle:
        """Check the manifest of a folder, then read the bundle.

        Raises:
            CorruptError: A file was changed, or has another format.
            NotFoundError: The folder has no bundle.
        """
        manifest = check_manifest(folder)
        data = read_json(folder / "bundle.json")
        if data.get("format") != _FORMAT:
            raise CorruptError(f"bundle format {data.get('format')!r} is not known", where=str(folder), found=[_FORMAT])
        try:
            return cls(
                definitions=tuple(from_json(item) for item in data["definitions"]),
                encoder=Encoder.from_json(data["encoder"]),
                fitted=load_fitted(data["family"], folder / "model"),
                folder=folder,
                manifest=manifest,
                **{name: data[name] for name in _JSON_FIELDS},
            )
        except (KeyError, TypeError) as error:
            raise CorruptError(f"bundle.json lacks or misspells {error}", where=str(folder)) from None

    def _to_json(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "definitions": [to_json(item) for item in self.definitions],
            "encoder": self.encoder.to_json(),
            **{name: getattr(self, name) for name in _JSON_FIELDS},
        }


_JSON_FIELDS = ("problem", "service", "family", "config", "metric", "metrics", "windows", "lead_time", "facts")


def manifest_digest(folder: Path) -> str:
    """Return the sha256 of a bundle's manifest, which identifies all its bytes."""
    return file_digest(folder / "manifest.json")


def reference_profile(
    matrix: pa.Table,
    label: NDArray[np.float64],
    predictions: Predictions,
    *,
    cutoffs_us: NDArray[np.int64] | None = None,
    join_keys: pa.Table | None = None,
    entities: Mapping[str, Sequence[str]] | None = None,
    rows: int = _REFERENCE_ROWS,
    seed: int = 0,
) -> pa.Table:
    """Sample up to 5,000 training rows with `_label`, `_prediction`, `_cutoff` and entities, in their original order.

    Args:
        matrix: Feature matrix [n, d].
        label: Labels [n].
        predictions: Predictions [n].
        cutoffs_us: Cutoffs [n], microseconds UTC.
        join_keys: Join keys of the rows [n].
        entities: Entity -> its join keys; the sample has a column of digests of each (`entity_keys`).
        rows: Most rows of the sample.
        seed: Of the sample.
    """
    table = matrix.append_column(LABEL, pa.array(label, pa.float64()))
    table = table.append_column(PREDICTION, pa.array(predictions, pa.float64()))
    if cutoffs_us is not None:
        table = table.append_column(CUTOFF, pa.array(cutoffs_us, pa.int64()))
    if table.num_rows > rows:
        sampled = np.random.default_rng(seed).choice(table.num_rows, rows, replace=False)
        chosen = pa.array(np.sort(sampled))
        table, join_keys = table.take(chosen), None if join_keys is None else join_keys.take(chosen)
    if join_keys is not None:
        keys = {name: [key_value(value) for value in join_keys[name].to_pylist()] for name in join_keys.column_names}
        for name, digests in entity_columns(keys, entities or {}).items():
            table = table.append_column(name, pa.array(digests, pa.int64()))
    return table.combine_chunks()
