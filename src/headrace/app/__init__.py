"""The composition root: settings, a problem, its stores, clock and addresses put together into one Context."""
