"""Mask API keys, and possible secrets in addresses, before a text is shown, logged or stored.

    http://user:password@host/path?token=abc    http://***@host/path?token=***
    postgresql://user:password@host/db          postgresql://***@host/db
    slack://tokenA/tokenB/tokenC                slack://***

Of the kinds of addresses that Headrace is given for servers and data, the host and path are shown. Of every other kind
nothing is: in an address of Apprise's any part may be the token. When in doubt more is masked than need be.
"""

from __future__ import annotations

import re
import sys
import traceback
from types import TracebackType

HIDDEN = "***"

#: Kinds whose addresses hold no secret: a file's, and MLflow's names of models and runs.
_WITHOUT_SECRETS = frozenset({"file", "sqlite", "models", "runs", "mlflow-artifacts"})
#: Kinds of which all but the credentials is shown; a driver may follow, as in postgresql+psycopg.
_SERVERS = (
    *("http", "https", "ws", "wss", "grpc", "grpcs", "ftp", "ftps", "sftp"),
    *("postgres", "postgresql", "mysql", "mariadb", "mssql", "oracle", "db2", "redis", "rediss", "mongodb"),
    *("snowflake", "bigquery", "redshift", "clickhouse", "trino", "presto", "duckdb", "databricks"),
    *("s3", "s3a", "gs", "gcs", "delta", "iceberg", "abfs", "abfss", "wasb", "wasbs", "hdfs"),
)
# One slash too: pathlib makes one of two, as in a database address that was taken for a file's path.
_ADDRESS = re.compile(r"(?P<kind>[A-Za-z][A-Za-z0-9+.-]*):(?P<slashes>/{1,2})(?P<rest>[^/\s]\S*)")
_API_KEY = re.compile(r"headrace_[0-9a-f]{12}_[A-Za-z0-9_-]{43}")
_PARAMETER = re.compile(
    r"(?P<name>[?&;][^=&;\s]*(?:token|key|pass|pwd|secret|sig|auth|cred)[^=&;\s]*=)[^&;\s]*", re.IGNORECASE
)


def redact(text: str) -> str:
    """Mask API keys of Headrace, and all that may be a password or token in an address. Idempotent."""
    return _ADDRESS.sub(_masked, _API_KEY.sub(f"headrace_{HIDDEN}", text))


def print_redacted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback with masked addresses, as `sys.excepthook`."""
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))


def _masked(match: re.Match[str]) -> str:
    kind, slashes, rest = match["kind"], match["slashes"], match["rest"]
    name = kind.lower().split("+")[0].rpartition(".")[2]
    if name in _WITHOUT_SECRETS:
        return match[0]
    if name not in _SERVERS:
        return f"{kind}://{HIDDEN}" if slashes == "//" else match[0]
    _, at, visible = rest.rpartition("@")
    if at:
        visible = f"{HIDDEN}@{visible}"
    elif _has_password(rest):
        visible = HIDDEN
    visible = _PARAMETER.sub(lambda found: f"{found['name']}{HIDDEN}", visible)
    return f"{kind}:{slashes}{visible}"


def _has_password(rest: str) -> bool:
    """Whether `name:text` stands where `host:port` should: credentials whose @ is missing, or cut off."""
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    _, colon, port = host.rpartition(":")
    return bool(colon) and not host.endswith("]") and not re.match(r"\d*\W*$", port)
