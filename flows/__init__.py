"""Prefect flows: thin orchestration around `headrace.pipeline`, and nothing else. Only this folder knows Prefect."""
