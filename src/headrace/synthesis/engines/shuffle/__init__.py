"""Synthesis over more rows than fit into memory: rows and queries are partitioned by key, then computed."""
