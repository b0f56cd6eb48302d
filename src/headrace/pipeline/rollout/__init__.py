"""A rollout under way: compare challenger and champion on matured labels, decide, act, and reconcile after a crash."""
