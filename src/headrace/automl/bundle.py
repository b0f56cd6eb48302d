"""Save and load the fitted ensemble of a search: one folder with a manifest, in a format that cannot execute code.

model.skops      the ensemble by skops; only the types that are listed here are loaded
card.json        what a model card says
manifest.json    sha256 of both, checked before any of them is opened
"""

from __future__ import annotations

from pathlib import Path

from headrace.automl.ensemble.model import TableModel
from headrace.core.errors import ConflictError, CorruptError
from headrace.core.files import staged_folder, write_json
from headrace.core.manifest import check_manifest, write_manifest

#: Types that a file may contain, beyond those that skops trusts by default and those of this room.
_OWN = "headrace.automl."
TRUSTED = (
    "catboost.core.CatBoost",
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
    "xgboost.core.Booster",
)
_FILE = "model.skops"


def save_model(model: TableModel, folder: Path) -> None:
    """Write a model into a new folder, atomically.

    Raises:
        ConflictError: The folder is not empty.
    """
    import skops.io

    if folder.exists() and any(folder.iterdir()):
        raise ConflictError("a model is never overwritten", where=str(folder), fix="save to a new folder")
    with staged_folder(folder) as staging:
        skops.io.dump(model, staging / _FILE)
        write_json(staging / "card.json", dict(model.facts))
        write_manifest(staging)


def load_model(folder: Path) -> TableModel:
    """Check the manifest of a folder, then read the model.

    Raises:
        CorruptError: A file was changed, or contains a type that is not trusted.
        NotFoundError: The folder has no model.
    """
    import skops.io

    path = check_manifest(folder).path(_FILE)
    types = skops.io.get_untrusted_types(file=path)
    unknown = [name for name in types if not name.startswith(_OWN) and name not in TRUSTED]
    if unknown:
        raise CorruptError("the file holds types that are not trusted", where=str(path), found=sorted(unknown))
    model: TableModel = skops.io.load(path, trusted=types)
    return model
