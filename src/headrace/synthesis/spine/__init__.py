"""The spine: the (key, cutoff time) rows to compute features for, with labels."""
