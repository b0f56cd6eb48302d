"""Demand API keys of requests: the scopes of endpoints, the check of a request, and what it consists of."""
