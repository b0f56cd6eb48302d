"""Make the certificate of a version: run its checks, write JSON and HTML, and attach both to the version in MLflow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.core.errors import NotFoundError
from headrace.core.files import write_bytes, write_json
from headrace.lake.store import Lake
from headrace.pipeline.context import Context

if TYPE_CHECKING:
    from headrace.audit.certificate import Certificate


@dataclass(frozen=True, kw_only=True)
class CertificateFiles:
    """A certificate and its files: `certificates/<problem>/<version>.json` and `.html` in the home folder."""

    certificate: Certificate
    json: Path
    html: Path


def make_certificate(context: Context, version: str) -> CertificateFiles:
    """Certify a registered version.

    Raises:
        NotFoundError: Nothing was loaded yet, or the version does not exist.
    """
    from headrace.audit.certificate import certify
    from headrace.audit.page import page
    from headrace.audit.versions import Versions
    from headrace.registry.certificates import attach_certificate

    problem = context.problem
    lake = Lake(context.root, problem.name)
    now_us = lake.clock()
    if now_us is None:
        raise NotFoundError("nothing was loaded yet", where=problem.name, fix="run `headrace run` first")
    versions = Versions(problem.name, context.tracking_uri, context.root)
    made = certify(problem, version, versions, context.root, lake.snapshot(), now_us=now_us)
    folder = context.root / "certificates" / problem.name
    folder.mkdir(parents=True, exist_ok=True)
    files = CertificateFiles(certificate=made, json=folder / f"{version}.json", html=folder / f"{version}.html")
    write_json(files.json, made.to_json())
    write_bytes(files.html, page(made).encode())
    attach_certificate(context.tracking_uri, problem.name, version, (files.json, files.html), passed=made.passed)
    return files
