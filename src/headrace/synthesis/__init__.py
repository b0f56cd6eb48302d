"""Deep Feature Synthesis: definitions from a schema, a plan, engines that compute them, and the truth they meet.

definitions -> plan -> engine (local, or the oracle) -> finish -> feature matrix -> selection
"""
