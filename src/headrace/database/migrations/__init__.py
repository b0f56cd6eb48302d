"""Alembic migrations, one folder for each group of tables; `headrace.database.migrate` runs them."""
