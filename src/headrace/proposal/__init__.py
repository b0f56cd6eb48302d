"""Propose the declaration of a problem from raw tables: keys, relationships, times, a label; for `headrace init`."""
