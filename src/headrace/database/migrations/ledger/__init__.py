"""Migrations of the tables of the ledger, oldest first."""
