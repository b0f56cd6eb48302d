"""The report of a search: leaderboard, course of the search, Shapley values, model card; one HTML page."""
