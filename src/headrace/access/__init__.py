"""Decide who may do what: API keys, rate limits, the audit log, guarded connections and signatures of bundles."""
