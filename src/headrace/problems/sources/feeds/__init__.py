"""Change feeds of sources: what changed since the last load, from Delta, Iceberg and tables of changes."""
