"""Tables larger than memory: their rows in version order, without repeats, in files."""
