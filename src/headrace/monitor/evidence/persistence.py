"""Features that drifted in k of the last n windows, from the evidence of the windows; for benchmarks and reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from headrace.monitor.evidence.window import WindowEvidence


def persistence(history: Sequence[WindowEvidence | Collection[str]], k: int, n: int) -> tuple[str, ...]:
    """Return the features that drifted in at least k of the last n measured windows, in alphabetical order.

    Args:
        history: Windows, oldest first, each as evidence or as the names of its drifted features.
        k: Number of windows with drift.
        n: Number of windows considered; windows that could not be measured do not count.
    """
    windows = [
        window.drifted if isinstance(window, WindowEvidence) else window
        for window in history
        if not isinstance(window, WindowEvidence) or window.measured
    ]
    times = Counter(name for window in windows[-n:] for name in set(window)) if n > 0 else Counter()
    return tuple(sorted(name for name, count in times.items() if count >= k))
