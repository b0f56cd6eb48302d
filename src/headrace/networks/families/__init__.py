"""Families of networks for tables, and the embeddings of categories that they learn."""
