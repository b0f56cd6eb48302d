"""`headrace automl`: search a table for the best ensemble, show the leaderboard, write report and predictions."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from headrace.app.output import print_json
from headrace.automl.bundle import save_model
from headrace.automl.engine import Outcome
from headrace.automl.ensemble.model import TableModel
from headrace.automl.estimators import HeadraceClassifier, HeadraceRegressor
from headrace.automl.report.page import write_page, write_plots
from headrace.automl.table.cleaning import Cleaner, require_distinct_names
from headrace.automl.table.reading import read_table
from headrace.automl.task.metrics import metric_of
from headrace.automl.task.task import guess_kind
from headrace.core.errors import ConflictError, DataError, DeclarationError, NotFoundError
from headrace.registry.table_models import require_name
from headrace.search.trial import Trial

_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of the command.

    Attributes:
        train: File of the training rows.
        target: Column to predict.
        out: New folder for the results.
        test: File of the rows to predict, or None.
        task: "auto", "classification" or "regression".
        minutes: Time of the search.
        explain: Whether the report has Shapley values.
        mlflow: Whether the run is logged to MLflow.
        register: Name of the registered model, or None.
        home: Home folder, None for the setting's; MLflow's embedded store lies in it.
        parameters: Further parameters of the estimator.
    """

    train: Path
    target: str
    out: Path
    test: Path | None
    task: str
    minutes: float
    explain: bool
    parameters: dict[str, Any]
    mlflow: bool = False
    register: str | None = None
    home: Path | None = None


def levels(text: str | None) -> tuple[float, ...] | None:
    """Return the numbers of a text such as 0.1,0.5,0.9.

    Raises:
        DeclarationError: A part is no number.
    """
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise DeclarationError(
            f"{text!r} is no list of numbers", where="--quantiles", fix="write it as 0.1,0.5,0.9"
        ) from None


def names(text: str | None) -> tuple[str, ...] | None:
    """Return the names of a text such as catboost,mlp."""
    return None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())


def run_automl(request: Request, *, as_json: bool = False) -> None:
    """Search, then print the leaderboard and write leaderboard, report, model and predictions into a new folder."""
    console = Console(stderr=as_json)
    _require_new(request.out)
    if request.register is not None:
        require_name(request.register, where="--register")
    train = read_table(request.train)
    require_distinct_names(train)
    _require_target(request, train)
    X, y = train.drop(columns=request.target), train[request.target]
    test = None if request.test is None else _rows_to_predict(request.test, X)
    kind = _kind(request, y)
    if kind == "classification":
        _require_classes(request, y)
    estimator_class: Any = HeadraceClassifier if kind == "classification" else HeadraceRegressor
    parameters = {k: v for k, v in request.parameters.items() if k != "quantiles" or kind != "classification"}
    estimator = estimator_class(seconds=60 * request.minutes, **parameters)
    _create(request.out)
    _fit(console, estimator, X, y, test, 60 * request.minutes)
    _show(console, estimator)
    _write(console, request, estimator, X, test)
    if request.mlflow or request.register is not None:
        _log(console, request, estimator)
    if as_json:
        board = estimator.leaderboard()
        print_json({"out": request.out, "leaderboard": board.to_dict("records"), "notes": estimator.notes_})


def _require_new(out: Path) -> None:
    """Check that a folder does not exist or is empty.

    Raises:
        ConflictError: It has files, or it is a file.
    """
    try:
        empty = not out.exists() or not any(out.iterdir())
    except OSError as error:
        raise _unusable(out, error) from None
    if not empty:
        raise ConflictError("the folder is not empty", where=str(out), fix="name a new folder with --out")


def _create(out: Path) -> None:
    """Create a folder and write a file into it, so that a search is not lost for want of a place for its result.

    Raises:
        ConflictError: It cannot be created or written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise _unusable(out, error) from None


def _unusable(out: Path, error: OSError) -> ConflictError:
    return ConflictError(
        f"is no folder that can be written ({error.strerror or error})", where=str(out),
        fix="name another folder with --out",
    )  # fmt: skip


def _require_target(request: Request, train: pd.DataFrame) -> None:
    """Check that a table has the target, with values, and other columns.

    Raises:
        NotFoundError: There is no such column.
        DataError: It has no value, or there is no other column.
    """
    if request.target not in train.columns:
        raise NotFoundError(f"no column {request.target!r}", where=str(request.train), found=train.columns)
    if train.shape[1] == 1:
        raise DataError(
            f"there is no column but the target {request.target!r}", where=str(request.train),
            fix="add columns to predict it from",
        )  # fmt: skip
    if train[request.target].isna().all():
        raise DataError(
            f"the target {request.target!r} has no value", where=str(request.train), fix="name another with --target"
        )


def _require_classes(request: Request, y: pd.Series) -> None:
    """Check that the values of a target can be classes.

    Raises:
        DataError: They are numbers with fractions, or decimals of Parquet.
    """
    present = y.dropna()
    kind = pd.api.types.infer_dtype(present)
    fractions = kind in ("floating", "mixed-integer-float") and bool((present.astype(float) % 1 != 0).any())
    if fractions or kind == "decimal":
        raise DataError(
            f"the target {request.target!r} has decimal numbers, not classes", where=str(request.train),
            found=present.unique()[:5], fix="use --task regression",
        )  # fmt: skip


def _rows_to_predict(path: Path, X: pd.DataFrame) -> pd.DataFrame:
    """Read the rows to predict with the columns of the training table, in their order; other columns are left out.

    Raises:
        DataError: A column that the training table can learn from is missing.
    """
    texts = [str(name) for name in X.columns if pd.api.types.infer_dtype(X[name], skipna=True) == "string"]
    test = read_table(path, texts=texts)
    require_distinct_names(test)
    given = {str(name) for name in test.columns}
    missing = [column.name for column in Cleaner.fit(X).used if column.name not in given]
    if missing:
        raise DataError(
            f"{len(missing)} columns of the training table are missing", where=str(path), found=missing,
            fix="add them, or drop them from the training table",
        )  # fmt: skip
    return test.reindex(columns=X.columns)


def _kind(request: Request, y: pd.Series) -> str:
    if request.parameters.get("quantiles"):
        return "regression"
    if request.task not in ("auto", "classification", "regression"):
        raise DeclarationError(
            f"no task {request.task!r}", where="--task", found=["auto", "classification", "regression"]
        )
    return guess_kind(y) if request.task == "auto" else request.task


def _fit(console: Console, estimator: Any, X: pd.DataFrame, y: Any, test: pd.DataFrame | None, seconds: float) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    best: dict[str, float] = {}
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("search", total=seconds)

        def on_trial(trial: Trial) -> None:
            if trial.status == "ok" and trial.loss is not None:
                best["loss"] = min(trial.loss, best.get("loss", trial.loss))
            elapsed = progress.tasks[0].elapsed or 0.0
            text = f"{trial.number + 1} configurations" + (f", best loss {best['loss']:.5g}" if best else "")
            progress.update(task, completed=min(elapsed, seconds), description=text)

        estimator.fit(X, y, X_predict=test, on_trial=on_trial)


def _show(console: Console, estimator: Any) -> None:
    board, metric = estimator.leaderboard(), metric_of(estimator.model_.task)
    table = Table(title=f"{metric.name}, out of fold ({'greater' if metric.greater_is_better else 'less'} is better)")
    for name in ("trial", "family", metric.name, "weight", "seconds", "microseconds a row"):
        table.add_column(name, justify="left" if name == "family" else "right")
    for row in board[board["status"] == "ok"].head(_SHOWN).itertuples():
        trial = "" if row.trial < 0 else str(row.trial)
        table.add_row(
            trial, row.family, f"{row.value:.5g}", f"{row.weight:.2f}", f"{row.seconds:.1f}", f"{row.predict_us:.0f}"
        )
    console.print(table)
    for note in estimator.notes_:
        console.print(note, style="dim", markup=False)


def _write(console: Console, request: Request, estimator: Any, X: pd.DataFrame, test: pd.DataFrame | None) -> None:
    out, outcome = request.out, estimator.outcome_
    estimator.leaderboard().to_csv(out / "leaderboard.csv", index=False)
    save_model(_described(outcome.model, request.target), out / "model")
    if test is not None:
        predictions(estimator, test, request.target).to_csv(out / "predictions.csv", index=False)
    _report(out, request, outcome, X, estimator.notes_)
    console.print(f"{out}: report.html, leaderboard.csv, model{', predictions.csv' if test is not None else ''}")


def _described(model: TableModel, target: str) -> TableModel:
    """Return the model with target and columns on its card."""
    kinds = {column.name: "clock" if column.clock else column.kind for column in model.cleaner.used}
    return replace(model, facts={**model.facts, "target": target, "kinds": kinds})


def _log(console: Console, request: Request, estimator: Any) -> None:
    """Log the run to MLflow: metrics, parameters, a child run per configuration, report, plots, model folder."""
    from headrace.app.addresses import tracking_uri
    from headrace.app.context import settings_of
    from headrace.registry.table_models import log_table_run

    out, outcome, facts = request.out, estimator.outcome_, estimator.outcome_.model.facts
    plots = write_plots(outcome, out / "plots")
    configuration = settings_of(request.home)
    names = ("seed", "validation", "folds", "rows", "columns", "kind")
    run_id, version = log_table_run(
        tracking_uri(configuration),
        f"automl {request.target}",
        name=f"{request.train.name}, {request.minutes:g} min",
        trials=outcome.trials,
        params={**{name: facts[name] for name in names}, "minutes": request.minutes, "metric": facts["metric"]},
        metrics={str(facts["metric"]): float(facts["value"]), "members": float(len(outcome.model.members))},
        artifacts=[out / "report.html", out / "leaderboard.csv", *plots],
        model=out / "model",
        register=request.register,
    )
    named = f", version {version} of {request.register}" if version else ""
    console.print(f"MLflow: run {run_id}{named}")


def _report(out: Path, request: Request, outcome: Outcome, X: pd.DataFrame, notes: tuple[str, ...]) -> None:
    explain_s = min(60.0, 12 * request.minutes) if request.explain else 0.0
    title = f"AutoML: {request.target} of {request.train.name}"
    write_page(outcome, X, out / "report.html", title=title, notes=notes, explain_s=explain_s)


def predictions(estimator: Any, test: pd.DataFrame, target: str) -> pd.DataFrame:
    """Return the predictions of rows: the target, and a column for each class or quantile."""
    task = estimator.model_.task
    predicted = estimator.predict(test)
    if task.kind == "quantile":
        return pd.DataFrame(predicted, columns=[f"{target}_{level:g}" for level in task.quantiles])
    frame = pd.DataFrame({target: predicted})
    if task.classification:
        p = estimator.predict_proba(test)
        frame = frame.assign(**{f"probability_{name}": p[:, i] for i, name in enumerate(task.classes)})
    return frame
