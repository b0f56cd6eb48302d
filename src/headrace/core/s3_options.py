"""Where an S3 API is and how it is asked, from an address and the environment, for sources and for the lake.

Region, endpoint and credentials come from the environment or from AWS's files. An address may override them:
`s3://bucket/folder?endpoint_override=http://host:9000&region=eu-central-1`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class S3Options:
    """How an S3 API is asked.

    Attributes:
        endpoint: Its URL with the scheme; None: that of AWS.
        region: None: that of the credentials.
        anonymous: Whether requests are not signed.
    """

    endpoint: str | None
    region: str | None
    anonymous: bool


def s3_options(options: Mapping[str, str]) -> S3Options:
    """Return the options of an address's query, or those of the environment.

    Args:
        options: `endpoint_override`, `scheme`, `region`, `anonymous`; others are ignored.
    """
    known = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    endpoint = options.get("endpoint_override") or known
    if endpoint:
        scheme, _, host = endpoint.rpartition("://")
        endpoint = f"{options.get('scheme', scheme or 'https')}://{host}"
    region = options.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return S3Options(endpoint=endpoint or None, region=region or None, anonymous=options.get("anonymous") == "true")
