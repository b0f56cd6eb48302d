"""From a cleaned table to a design matrix: dates, texts, categories, target encoding, constructions, scaling."""
