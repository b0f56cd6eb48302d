"""The smallest flow there is, for a deployment that fires often."""

from prefect import flow


@flow(name="tick", log_prints=False)
def tick(problem: str) -> str:
    """Say what it was told."""
    return problem
