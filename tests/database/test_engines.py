"""The engines of a process by address: few are kept, and one that is dropped closes its connections."""

from __future__ import annotations

import gc
from collections.abc import Callable

from sqlalchemy import text

from headrace.database.postgresql import engine


def test_an_engine_that_is_dropped_closes_its_connections(new_database: Callable[[], str]) -> None:
    addresses = [new_database() for _ in range(6)]
    for address in addresses:
        with engine(address).connect() as connection:
            connection.execute(text("SELECT 1"))
    assert engine(addresses[-1]) is engine(addresses[-1])
    gc.collect()  # a connection that is still open would warn, and warnings are errors
