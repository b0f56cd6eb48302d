"""The champion of a problem as a scikit-learn estimator: rows with keys and times in, predictions out."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headrace.app.context import context_of
from headrace.core.clock import NEVER
from headrace.core.errors import DataError, NotFoundError
from headrace.lake.conform import conform
from headrace.lake.store import Lake
from headrace.library.model import BinaryModel, FittedModel, NumberModel
from headrace.pipeline.context import Context
from headrace.problems.catalogue import declare
from headrace.problems.sources.frames import as_rows
from headrace.registry.ledger import Ledger
from headrace.registry.models import download
from headrace.schema import DUE, Every, Problem, Table
from headrace.synthesis.history.keys import plain
from headrace.synthesis.history.known_time import cutoff_instants
from headrace.synthesis.language.definitions import row_columns
from headrace.synthesis.matrix.matrix import feature_matrix

if TYPE_CHECKING:
    import pandas as pd

_ROW = "row_number"


class RowFeatures:
    """Computes the features of a model for rows, from the lake of a home, each at the row's own cutoff.

    Args:
        context: Of the problem.
        definitions: The model's features.
    """

    def __init__(self, context: Context, definitions: tuple[Any, ...]) -> None:
        self.problem = context.problem
        self._context = context
        self._definitions = definitions

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns that rows must have: join keys, the column of the cutoff, and the model's own columns."""
        own = [item.column for item in row_columns(self._definitions)]
        return tuple(dict.fromkeys((*self.problem.join_keys, self.problem.cutoff.column, *own)))

    def matrix(self, rows: Any) -> pd.DataFrame:
        """Compute the feature matrix of rows [n, features].

        Raises:
            DataError: Rows lack a column, or a value has another type than in the lake.
        """
        given = as_rows(rows, "rows")
        if isinstance(self.problem.spine, Every) and DUE not in given.column_names and "cutoff" in given.column_names:
            given = given.rename_columns([DUE if name == "cutoff" else name for name in given.column_names])
        if absent := [name for name in self.columns if name not in given.column_names]:
            raise DataError(
                f"lacks {', '.join(absent)}",
                where="rows",
                found=given.column_names,
                fix=f"give every one of {', '.join(self.columns)}; null where it is not known",
            )
        snapshot = Lake(self._context.root, self.problem.name).snapshot()
        table = self._declaration(snapshot.table(self.problem.carrier).schema)
        numbered = given.select(list(self.columns)).append_column(_ROW, pa.array(range(given.num_rows)))
        spine = conform(table, numbered, expected=snapshot.table(self.problem.carrier).schema)
        for name in self.problem.join_keys:
            spine = spine.set_column(spine.column_names.index(name), name, plain(spine[name]))
        at = cutoff_instants(table, self.problem.cutoff, spine)
        if missing := int((at == NEVER).sum()):
            raise DataError(
                f"{missing} rows have no cutoff", where=f"rows.{self.problem.cutoff.column}", fix="give one"
            )
        spine = spine.append_column("cutoff", pa.array(at))
        spine = spine.append_column("tick", pa.array(at - at % self.problem.tick_us))
        values = feature_matrix(self.problem, self._definitions, spine, snapshot, self._context.engine)
        frame: pd.DataFrame = values.to_pandas()
        return frame

    def _declaration(self, schema: pa.Schema) -> Table:
        """The spine's table as rows to predict have it: without a key, known times and labels."""
        declared = self.problem.entity_set.table(self.problem.carrier)
        times = {
            name: "time"
            for name in self.columns
            if name in schema.names and pa.types.is_timestamp(schema.field(name).type)
        }
        roles = {name: role for name, role in declared.roles.items() if name in self.columns}
        return Table(
            name="rows",
            key=_ROW,
            time=self.problem.cutoff.column,
            resolution=declared.resolution,
            tz=declared.tz,
            roles={**times, **roles},
            source="-",
        )


class RowModel(FittedModel):
    """A model whose input are rows with keys and times; see `champion`.

    Attributes:
        problem: As given to `champion`.
        home: Folder of all state.
        version: Version of the model; None: the champion.
    """

    problem: Any
    home: str | Path | None
    version: str | None

    def features(self, rows: Any) -> pd.DataFrame:
        """Compute the model's features of rows, each at its own cutoff [n, features].

        Args:
            rows: Data frame with `columns`.

        Raises:
            DataError: Rows lack a column, or a value has another type than in the lake.
        """
        return RowFeatures(self._context(), self.bundle.definitions).matrix(rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that rows must have."""
        return RowFeatures(self._context(), self.bundle.definitions).columns

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        name = self.problem.name if isinstance(self.problem, Problem) else str(self.problem)
        return f"{type(self).__name__}(problem={name!r}, home={self.home!r}, version={self.version!r})"[:N_CHAR_MAX]

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        """For notebooks: one line, not all fields of the problem."""
        return {"text/plain": repr(self)}

    def _matrix(self, X: Any) -> pd.DataFrame:
        return self.features(X)

    def _context(self) -> Context:
        given = self.problem
        reference = declare(given) if isinstance(given, Problem) else str(given)
        return context_of(reference, Path(self.home) if self.home is not None else None)

    def _location(self) -> Path:
        context, version = self._context(), self.version
        if version is None:
            record = Ledger(context.root, context.problem.name).champion()
            if record is None:
                raise NotFoundError(
                    "there is no champion", where=context.problem.name, fix="run it first: headrace.run(problem)"
                )
            version = record.version
        return download(context.problem.name, version, context.tracking_uri, context.root)


class ChampionClassifier(BinaryModel, RowModel):
    """The champion of a problem whose label is true or false; see `champion`.

    Args:
        problem: As given to `champion`.
        home: Folder of all state.
        version: Version of the model; None: the champion.
        threshold: Probability from which `predict` says True.
    """

    def __init__(
        self, problem: Any, home: str | Path | None = None, version: str | None = None, threshold: float = 0.5
    ) -> None:
        self.problem = problem
        self.home = home
        self.version = version
        self.threshold = threshold


class ChampionRegressor(NumberModel, RowModel):
    """The champion of a problem whose label is a number; see `champion`.

    Args:
        problem: As given to `champion`.
        home: Folder of all state.
        version: Version of the model; None: the champion.
    """

    def __init__(self, problem: Any, home: str | Path | None = None, version: str | None = None) -> None:
        self.problem = problem
        self.home = home
        self.version = version


def champion(
    problem: Problem | str | Path,
    *,
    home: str | Path | None = None,
    version: str | None = None,
    threshold: float | None = None,
) -> ChampionClassifier | ChampionRegressor:
    """Return the champion of a problem as a scikit-learn estimator.

    Its input are rows as a request has them: a data frame with the entities' keys, the column that the cutoff is read
    from, and the model's own columns. The features of each row are computed from the lake as of its cutoff, so past
    rows get the predictions that production would have given. Nothing is logged.

    Args:
        problem: A declaration, the path of a problem file, or the name of a built-in problem.
        home: Folder of all state. None: the setting HEADRACE_HOME, else `.headrace` in the current folder.
        version: Version of the model. None: the champion at the first prediction.
        threshold: Probability from which `predict` says True. None: that of the problem's `costs`, else 0.5.

    Returns:
        A classifier (`predict`, `predict_proba`) or a regressor (`predict`). `features` returns the feature matrix.

    Raises:
        NotFoundError: There is no champion, or no such version.
    """
    home = Path(home).absolute() if home is not None else None  # another current folder changes nothing
    estimator = ChampionClassifier(problem, home, version)
    declared, _ = estimator._context().problem, estimator.bundle
    if not declared.label_expression.binary:
        return ChampionRegressor(problem, home, version)
    if threshold is None and declared.costs is not None:
        threshold = declared.costs.decision_threshold
    estimator.threshold = 0.5 if threshold is None else threshold
    return estimator
