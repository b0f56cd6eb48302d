"""Migrations of the tables of the predictions, oldest first."""
