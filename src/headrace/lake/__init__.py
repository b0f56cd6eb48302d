"""Tables and logs on disk: append-only batches, snapshots of them, the production clock, the prediction log."""
