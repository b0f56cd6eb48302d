"""Monitoring of a window of production: evidence from logged predictions and labels, decision, report, announcement."""
