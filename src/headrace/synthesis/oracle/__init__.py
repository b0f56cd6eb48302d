"""The oracle: the slow, obvious computation of definitions that engines are tested against."""
