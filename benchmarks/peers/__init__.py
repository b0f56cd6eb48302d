"""Engines that synthesis is measured beside. Each is a script for an environment of its own: see `protocol`."""
