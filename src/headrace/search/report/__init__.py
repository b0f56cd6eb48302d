"""The report of a study: charts, importances and one HTML page."""
