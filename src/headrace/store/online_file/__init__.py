"""The SQLite file of the online store: rows of feature views, watermarks, checksums. Without Feast."""
