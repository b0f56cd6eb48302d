"""Replace environment variables in the addresses of sources: `${NAME}` is a variable's value."""

from __future__ import annotations

import os
import re

from headrace.core.errors import DataError
from headrace.core.redact import redact

_NAMED = re.compile(r"\$\{([^}]+)\}")


def expanded(address: str) -> str:
    """Return an address with the values of its environment variables, `${NAME}` or `$NAME`.

    A `$NAME` of no variable stays as it is: `$` is a character of passwords and of files too.

    Raises:
        DataError: A `${NAME}` is not set.
    """
    for name in _NAMED.findall(address):
        if name not in os.environ:
            raise DataError(
                f"environment variable {name} is not set",
                where=f"source {redact(address)}",
                fix=f"set it, as in `export {name}=...`, where Headrace runs",
            )
    return os.path.expandvars(address)
