"""Benchmarks: one command each, a peer or a floor in the same run, the ratio printed."""
