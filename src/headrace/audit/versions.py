"""The features of registered model versions, from their bundles."""

from __future__ import annotations

from pathlib import Path

from headrace.core.errors import NotFoundError
from headrace.models.bundle import Bundle
from headrace.registry.ledger import Ledger


class Versions:
    """Loads the bundles of a problem's versions, each once.

    Args:
        problem: Name of the problem.
        tracking_uri: Address of MLflow.
        root: Home folder.
    """

    def __init__(self, problem: str, tracking_uri: str, root: Path) -> None:
        self._problem = problem
        self._tracking_uri = tracking_uri
        self._root = root
        self._bundles: dict[str, Bundle] = {}

    def bundle(self, version: str) -> Bundle:
        """Return the bundle of a version; NotFoundError where neither MLflow nor this home has it."""
        if version not in self._bundles:
            from headrace.registry.models import download

            try:
                folder = download(self._problem, version, self._tracking_uri, self._root)
            except NotFoundError:
                raise NotFoundError(
                    f"no version {version}",
                    where=f"MLflow, model {self._problem}",
                    found=sorted(Ledger(self._root, self._problem).versions()),
                    fix="name one of these versions",
                ) from None
            self._bundles[version] = Bundle.load(folder)
        return self._bundles[version]
