"""The study loop: ask, evaluate in worker processes, journal, until the budget is spent."""
