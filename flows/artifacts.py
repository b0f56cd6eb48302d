"""Publish the artifacts of a report to Prefect, whose pages show them with the flow run."""

from __future__ import annotations

from collections.abc import Iterable

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from headrace.pipeline.report import Artifact


def publish(artifacts: Iterable[Artifact]) -> None:
    """Create tables, texts and links under their keys; an existing key gets a new version."""
    for artifact in artifacts:
        if artifact.kind == "table":
            create_table_artifact(artifact.data, key=artifact.key, description=artifact.description)
        elif artifact.kind == "markdown":
            create_markdown_artifact(artifact.data, key=artifact.key, description=artifact.description)
        else:
            create_link_artifact(artifact.data, key=artifact.key, description=artifact.description)
