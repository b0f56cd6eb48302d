"""Predictions for rows that are asked for one by one: features from the online store, the champion, a durable log."""
