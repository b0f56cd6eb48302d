"""Stages as data, and their runner. Flows and the command line walk the same stages."""
