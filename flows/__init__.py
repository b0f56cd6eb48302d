"""Prefect flows around `headrace.pipeline`, their deployments and automations. Only this room imports Prefect."""
