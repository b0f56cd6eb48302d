"""A lake that several machines share: a log and files on an object store, of which each home keeps a copy."""
