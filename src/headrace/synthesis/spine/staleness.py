"""Make features of training rows as old as those of predictions will be: `Problem.staleness`.

Where a database is frozen while predictions go on for months, or a store is refreshed rarely, a prediction's features
are older than its cutoff by anything from nothing to `staleness`. A model that is trained on fresh features then trusts
recent history too much. Here each row's tick moves back to the last multiple of `staleness` before its cutoff, so the
ages of features are spread over the same range. Ticks only move back, so no row sees more than before.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headrace.schema import Problem


def with_stale_ticks(problem: Problem, spine: pa.Table) -> pa.Table:
    """A spine of training rows whose features are as stale as the problem declares; the same spine without staleness.

    Args:
        problem: declares the tick and the staleness.
        spine: rows with `cutoff` and `tick` (int64 us) [n].
    """
    if problem.staleness_us is None:
        return spine
    cutoffs = spine["cutoff"].to_numpy()
    refreshed = cutoffs - cutoffs % problem.staleness_us
    ticks = np.minimum(spine["tick"].to_numpy(), refreshed - refreshed % problem.tick_us)
    return spine.set_column(spine.column_names.index("tick"), "tick", pa.array(ticks))
