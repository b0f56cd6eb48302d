"""Sum and mean in plain Python."""

from __future__ import annotations

from headrace.synthesis.oracle.observations import Twin, exact_mean, exact_sum, of_values

SUMS: dict[str, Twin] = {
    "sum": of_values(lambda x: float(exact_sum(x))),
    "mean": of_values(lambda x: float(exact_mean(x)), 1),
}
