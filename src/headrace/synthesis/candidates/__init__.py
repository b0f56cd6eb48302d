"""Candidate definitions, enumerated from a schema or requested by name."""
