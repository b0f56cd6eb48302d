"""The shadows of a version: which there are, and where their bundles lie among the outputs of stages.

    shadows/<problem>/<version>-<instant of the fit, us>.json    written when the bundle is whole, and never changed

A bundle that is damaged or gone is no shadow: the next refit at the same instant makes it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from headrace.core.errors import CorruptError, NotFoundError
from headrace.core.files import read_json, write_json
from headrace.models.bundle import Bundle, manifest_digest
from headrace.pipeline.context import Context


@dataclass(frozen=True, kw_only=True)
class Shadow:
    """A refit of a version.

    Attributes:
        version: whose recipe it is.
        fitted_us: it learnt from what was known before this instant, and predicts rows from then on.
        rows: that it was fitted on.
        folder: of its bundle, below the home folder.
        digest: of the bundle's manifest.
    """

    version: str
    fitted_us: int
    rows: int
    folder: str
    digest: str

    def bundle(self, context: Context) -> Bundle:
        """Read its bundle.

        Raises:
            NotFoundError: it is gone.
            CorruptError: it is damaged, or another one lies in its place.
        """
        folder = context.root / self.folder
        bundle = Bundle.load(folder)
        if manifest_digest(folder) != self.digest:
            raise CorruptError("another bundle lies in the place of the shadow", where=str(folder))
        return bundle


def write_shadow(context: Context, shadow: Shadow) -> None:
    """Record a shadow whose bundle is whole."""
    write_json(_folder(context) / f"{shadow.version}-{shadow.fitted_us}.json", asdict(shadow))


def read_shadows(context: Context, version: str) -> tuple[Shadow, ...]:
    """The shadows of a version, in the order of their fits; one whose record is damaged is left out."""
    found = []
    for path in _folder(context).glob(f"{version}-*.json"):
        try:
            found.append(Shadow(**read_json(path)))
        except (CorruptError, NotFoundError, TypeError):
            continue
    return tuple(sorted((one for one in found if one.version == version), key=lambda one: one.fitted_us))


def readable(context: Context, shadows: Sequence[Shadow]) -> tuple[list[tuple[Shadow, Bundle]], tuple[str, ...]]:
    """The shadows with their bundles, and a note on each that cannot be read."""
    found, notes = [], []
    for shadow in shadows:
        try:
            found.append((shadow, shadow.bundle(context)))
        except (CorruptError, NotFoundError) as error:
            notes.append(f"a shadow cannot be read: {error}")
    return found, tuple(notes)


def _folder(context: Context) -> Path:
    return context.root / "shadows" / context.problem.name
