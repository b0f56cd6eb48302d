"""Feature selection: which candidates are worth computing, with the reason for each."""
