"""Measurements on a test window: of a number or a condition under both protocols, and of classes and labels."""
