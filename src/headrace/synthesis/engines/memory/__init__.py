"""Synthesis below a memory limit: estimate, split by key, spill to disk."""
