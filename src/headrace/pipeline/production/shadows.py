"""The shadows of a version: which there are, and where their bundles lie among the outputs of stages.

    shadows/<problem>/<version>-<instant of the fit, us>.json    written when the bundle is whole, and never changed
    shadows/<problem>/<version>-<instant>.retired                that record, once its outputs are to be deleted

A bundle that is damaged or gone is no shadow: the next refit at the same instant makes it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from headrace.core.errors import CorruptError, NotFoundError
from headrace.core.files import read_json, sync_folder, write_json
from headrace.models.bundle import Bundle, manifest_digest
from headrace.pipeline.context import Context

_RETIRED = ".retired"


@dataclass(frozen=True, kw_only=True)
class Shadow:
    """A refit of a version.

    Attributes:
        version: whose recipe it is.
        fitted_us: it learnt from what was known before this instant, and predicts rows from then on.
        rows: that it was fitted on.
        folder: of its bundle, below the home folder.
        digest: of the bundle's manifest.
        outputs: folders of the stages that only a refit at this instant has, below the home folder.
    """

    version: str
    fitted_us: int
    rows: int
    folder: str
    digest: str
    outputs: tuple[str, ...] = ()

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
    write_json(_record(context, shadow), asdict(shadow))


def read_shadows(context: Context, version: str) -> tuple[Shadow, ...]:
    """The shadows of a version, in the order of their fits; one whose record is damaged is left out."""
    return tuple(sorted((one for one in all_shadows(context) if one.version == version), key=lambda one: one.fitted_us))


def all_shadows(context: Context) -> tuple[Shadow, ...]:
    """The shadows of all versions, in no order; one whose record is damaged is left out."""
    found = (_read(path) for path in shadows_folder(context).glob("*.json"))
    return tuple(shadow for shadow in found if shadow is not None)


def needed_shadows(shadows: Sequence[Shadow], start_us: int, end_us: int) -> Sequence[Shadow]:
    """The shadows that are the newest for some instant in [start, end).

    Args:
        shadows: of one version, in the order of their fits.
        start_us: start of the window that is compared.
        end_us: its end.
    """
    before = [shadow for shadow in shadows if shadow.fitted_us <= start_us]
    inside = [shadow for shadow in shadows if start_us < shadow.fitted_us < end_us]
    return (*before[-1:], *inside)


def mark_retired(context: Context, shadow: Shadow) -> None:
    """Rename a shadow's record, so that it is no shadow any more and its outputs are known to be deleted."""
    record = _record(context, shadow)
    record.replace(record.with_suffix(_RETIRED))
    sync_folder(record.parent)


def retired_records(context: Context) -> list[tuple[Path, Shadow]]:
    """The records that were renamed, with their shadows; one that is damaged is left out."""
    found = ((path, _read(path)) for path in sorted(shadows_folder(context).glob(f"*{_RETIRED}")))
    return [(path, shadow) for path, shadow in found if shadow is not None]


def readable(context: Context, shadows: Sequence[Shadow]) -> tuple[list[tuple[Shadow, Bundle]], tuple[str, ...]]:
    """The shadows with their bundles, and a note on each that cannot be read."""
    found, notes = [], []
    for shadow in shadows:
        try:
            found.append((shadow, shadow.bundle(context)))
        except (CorruptError, NotFoundError) as error:
            notes.append(f"a shadow cannot be read: {error}")
    return found, tuple(notes)


def _read(path: Path) -> Shadow | None:
    try:
        facts = read_json(path)
        # an older record does not name its outputs: of its refit it names the bundle's folder
        outputs = facts.get("outputs") or (str(Path(facts["folder"]).parent),)
        return Shadow(**{**facts, "outputs": tuple(outputs)})
    except (CorruptError, NotFoundError, TypeError, KeyError, AttributeError):
        return None


def _record(context: Context, shadow: Shadow) -> Path:
    return shadows_folder(context) / f"{shadow.version}-{shadow.fitted_us}.json"


def shadows_folder(context: Context) -> Path:
    """Where the records of a problem's shadows lie."""
    return context.root / "shadows" / context.problem.name
