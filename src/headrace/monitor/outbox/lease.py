"""Heartbeat of a claimed retrain: renews the lease, so that leases can be short and a killed holder is noticed soon."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headrace.core.clock import SECOND
from headrace.core.errors import HeadraceError, UnavailableError
from headrace.monitor.outbox.outbox import LEASE_US, Claim, Outbox


@contextmanager
def renewed(outbox: Outbox, claim: Claim, now_us: Callable[[], int], *, lease_us: int = LEASE_US) -> Iterator[Claim]:
    """Renew a claim three times per lease, in a thread, while the block runs.

    If the lease is lost anyway (the machine slept, its clock was changed), the heartbeat ends, and `Outbox.finish`
    refuses the claim.

    Args:
        outbox: The outbox.
        claim: The claim.
        now_us: Returns the wall clock, microseconds UTC.
        lease_us: Length of a lease, microseconds.
    """
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(lease_us / SECOND / 3):
            try:
                outbox.renew(claim, now_us=now_us(), lease_us=lease_us)
            except UnavailableError:  # a full disk, or a writer that holds the file for long: the next beat may come
                continue
            except HeadraceError:
                return

    thread = threading.Thread(target=beat, name=f"lease-{claim.decision.id}", daemon=True)
    thread.start()
    try:
        yield claim
    finally:
        ended.set()
        thread.join()
