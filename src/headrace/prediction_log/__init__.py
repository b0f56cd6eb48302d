"""The prediction log: every answer with its features, kept in a journal, a file or a database, and read back."""
