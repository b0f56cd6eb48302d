"""Who acts, for the audit log: the user of this process, and the flow run that it belongs to."""

from __future__ import annotations

import getpass
import os


def actor() -> str:
    """Return the user's name, and the id of Prefect's flow run where this process is one."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        user = f"uid {os.getuid()}"
    run = os.environ.get("PREFECT__FLOW_RUN_ID", "")
    return f"user {user}, flow run {run}" if run else f"user {user}"
