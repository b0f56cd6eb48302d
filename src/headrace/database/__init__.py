"""Tables of the ledger, the outbox and the prediction log: in SQLite files of the home, or in PostgreSQL."""
