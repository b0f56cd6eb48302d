"""Similar rows of a table by their texts: cosine similarity of TF-IDF vectors (Salton and Buckley, 1988)."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
import scipy.sparse as sp

from headrace.problems.relbench.columns import table_columns
from headrace.problems.relbench.manifest import DatasetManifest
from headrace.problems.relbench.sources import plain, read_columns, row_count
from headrace.recommendation.interactions import Ints, best_per_row

#: Characters of a text that count, similar rows of a row, rows at a time, and most rows of a table.
_CHARACTERS, _SIMILAR, _CHUNK, _MOST_ROWS = 400, 60, 500, 2_000_000


def alike_rows(
    dataset: DatasetManifest, table: str, rows: Ints, hidden: Set[str] = frozenset()
) -> sp.csr_matrix | None:
    """Compute the similarity of some rows with all rows of their table.

    Args:
        dataset: The data set.
        table: The table.
        rows: Positions of the rows that similar ones are found for, distinct [q].
        hidden: Columns that must not be read.

    Returns:
        [n, n], at most `_SIMILAR` values a row, none of the row itself; None where the table has no text.
    """
    path = dataset.folder / "db" / f"{table}.parquet"
    columns = [
        one.name
        for one in table_columns(path, dataset.tables[table], hidden).read
        if one.role in ("text", "categorical")
    ]
    n = row_count(path)
    if not columns or n > _MOST_ROWS:
        return None
    from sklearn.feature_extraction.text import TfidfVectorizer

    read = read_columns(path, columns)
    texts = [[str(value or "")[:_CHARACTERS] for value in plain(read[name]).to_pylist()] for name in columns]
    vectors = TfidfVectorizer(min_df=2, max_df=0.2, max_features=50_000, dtype=np.float32)
    try:
        matrix = vectors.fit_transform([" ".join(parts) for parts in zip(*texts, strict=True)])
    except ValueError:  # no word is in two rows, or all are in most
        return None
    transposed, found = matrix.T.tocsr(), []
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        product = (matrix[chunk] @ transposed).tocoo()
        row, column = chunk[product.row].astype(np.int64), product.col.astype(np.int64)
        apart = row != column
        pairs, values = row[apart] * n + column[apart], product.data[apart].astype(np.float64)
        best = best_per_row(pairs, values, n, _SIMILAR)
        found.append((pairs[best], values[best]))
    pairs, values = (np.concatenate(one) for one in zip(*found, strict=True))
    return sp.csr_matrix((values, (pairs // n, pairs % n)), shape=(n, n))
