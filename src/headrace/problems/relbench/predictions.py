"""Write predictions of a RelBench task as `relbench.submit` scores them: a CSV in the order of test.parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from headrace.core.errors import DataError
from headrace.problems.relbench.manifest import read_dataset
from headrace.problems.relbench.task_rows import ROW, TaskRows
from headrace.schema import Problem


def write_submission(problem: Problem, predictions: pa.Table, folder: Path) -> list[Path]:
    """Write one prediction table per protocol, each in a folder that holds nothing else, as relbench.submit needs it.

    Args:
        problem: A problem of a RelBench task; for any other nothing is written.
        predictions: The row number of each test row, `fresh` and `frozen` [n], in any order.
        folder: Where the folders relbench-frozen/ and relbench-fresh/ are made.

    Returns:
        The files: `<data set>__<task>.csv` with the entity, the cutoff and the prediction in the target's column.

    Raises:
        DataError: A row of test.parquet has no prediction.
    """
    source = problem.spine_table.source
    if not isinstance(source, TaskRows) or source.labels != "number":
        return []
    keys = source.test_rows()
    order = np.argsort(predictions[ROW].to_numpy(), kind="stable")
    if len(order) != keys.num_rows:
        raise DataError(f"{len(order)} predictions for {keys.num_rows} test rows", where=str(source.folder))
    written = []
    for protocol in ("frozen", "fresh"):
        values = predictions[protocol].to_numpy()[order]
        if problem.label_expression.binary:
            values = np.clip(values, 0.0, 1.0)
        path = (
            folder
            / f"relbench-{protocol}"
            / f"{read_dataset(source.folder.parent.parent).name}__{source.folder.name}.csv"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        # By pandas, as relbench writes its own: it compares times as the texts that pandas makes of them.
        table = keys.append_column(source.target[0], pa.array(values)).replace_schema_metadata(None)
        table.to_pandas().to_csv(path, index=False)
        written.append(path)
    return written
