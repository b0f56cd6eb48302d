"""Headrace brings relational, time-stamped tables to a model in production and keeps it fresh.

Importing this package loads nothing heavy: each room is imported where it is used.
"""

__version__ = "0.1.0"
