"""First configurations of a search: a portfolio and a warm start from data sets that resemble the user's."""
