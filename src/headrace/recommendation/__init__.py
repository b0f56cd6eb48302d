"""Recommendation: which items each user interacts with next, ranked by a model over candidates, for `evaluate`."""
