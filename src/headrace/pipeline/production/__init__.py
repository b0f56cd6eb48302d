"""What stages and operations do in production: batches into the lake, steps of a feed, scoring, its quality."""
