"""Link model versions and runs in MLflow to reports elsewhere, by tags."""

from __future__ import annotations

from headrace.registry import probe
from headrace.registry.client import absent, connect, translated

#: The tag of a version, and of the run it came from, that names the last report about it.
REPORT = "headrace.report"


def link_report(tracking_uri: str, problem: str, version: str, address: str) -> bool:
    """Set the link to a report on a version and on its run. Idempotent.

    Returns:
        False where the version does not exist.
    """
    if probe.local(tracking_uri) and _current_address(tracking_uri, problem, version) == address:
        return True
    from mlflow.exceptions import MlflowException  # seconds, where the first question did not settle it

    client = connect(tracking_uri)
    try:
        run = client.get_model_version(problem, version).run_id
        if run:
            client.set_tag(run, REPORT, address)
        client.set_model_version_tag(problem, version, REPORT, address)  # last: where it is, the run's is too
    except MlflowException as error:
        if absent(error):
            return False
        raise translated(error, f"version {version} of {problem}") from error
    return True


def _current_address(tracking_uri: str, problem: str, version: str) -> str | None:
    version_info = probe.version(tracking_uri, problem, version) or {}
    tags = {tag["key"]: str(tag["value"]) for tag in version_info.get("tags", [])}
    return tags.get(REPORT)
