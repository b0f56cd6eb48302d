"""Watching production: drift evidence, the policy that decides on it, alerts, and the report."""
