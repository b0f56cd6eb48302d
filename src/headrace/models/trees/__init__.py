"""Compiled prediction with the trees of a LightGBM model, bit-equal to LightGBM's own."""
