"""The study loop: propose configs, evaluate them in worker processes, journal the results, until the budget ends."""
