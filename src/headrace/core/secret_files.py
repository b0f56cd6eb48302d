"""Read secrets from files that variables name: `NAME_FILE` is the path of a file with the value of `NAME`.

Docker and Kubernetes mount secrets as files. A file stays out of process lists, of `docker inspect` and of what a
program writes when it fails. MLflow and Prefect read variables only, so a process reads the files when it starts and
sets the variables for itself and the processes that it starts (`headrace.access.launch` does so for their commands).
"""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

from headrace.core.errors import DeclarationError

#: Variables whose values may come from a file. All are secrets: never print, log or store one.
SECRET_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "HEADRACE_ALERT_URL",
    "HEADRACE_AUDIT_KEY",
    "HEADRACE_DATABASE_URL",
    "HEADRACE_KEY_PEPPER",
    "HEADRACE_REDIS_URL",
    "HEADRACE_SIGNING_PASSWORD",
    "MLFLOW_AUTH_ADMIN_PASSWORD",
    "MLFLOW_BACKEND_STORE_URI",
    "MLFLOW_FLASK_SERVER_SECRET_KEY",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_URI",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_API_DATABASE_CONNECTION_URL",
    "PREFECT_SERVER_API_AUTH_STRING",
)


def read_secret_files(variables: MutableMapping[str, str]) -> None:
    """Set each secret variable whose `_FILE` variable names a file to the file's content, without its line end.

    Args:
        variables: The environment; changed in place.

    Raises:
        DeclarationError: A file cannot be read or is empty, or the variable is set too, to something else.
    """
    for name in SECRET_VARIABLES:
        path = variables.get(f"{name}_FILE", "")
        if not path:
            continue
        secret = _content(path, f"{name}_FILE")
        if variables.get(name) not in (None, "", secret):
            raise DeclarationError(f"{name} is set too, to something else", where=f"{name}_FILE", fix="unset one")
        variables[name] = secret


def _content(path: str, variable: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
        raise DeclarationError(f"{path} cannot be read ({reason})", where=variable, fix="correct the path") from None
    if not text or "\0" in text:
        raise DeclarationError(f"{path} holds no secret", where=variable, fix="write the secret into it")
    return text
