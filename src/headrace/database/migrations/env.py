"""What Alembic runs: apply migrations on the connection and in the transaction of `headrace.database.migrate`."""

from __future__ import annotations

from alembic import context

group = context.config.attributes["group"]
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=group.metadata,
    version_table=group.version_table,
)
with context.begin_transaction():
    context.run_migrations()
