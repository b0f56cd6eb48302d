"""The feature matrix of a spine: computed at once, incrementally, or written below a memory limit."""
