"""Tables on disk: append-only batches, snapshots of them, and the production clock."""
