"""Search what an installation leaves behind for planted secrets: files, objects of the bucket, command lines."""

from __future__ import annotations

from contextlib import suppress

import psutil

from tests.production.installation import BUCKET, PLANTED, Installation


def assert_no_secret_is_written(installation: Installation, *further: str) -> None:
    """Logs, reports, state, databases, objects and command lines: nothing holds a secret but its own file.

    Args:
        installation: It runs.
        further: Secrets that were made while it ran, such as API keys.
    """
    secrets = [text.encode() for text in (PLANTED, *further)]
    own = installation.folder / "run" / "secrets"
    read = 0
    for path in installation.folder.rglob("*"):
        if path.is_file() and own not in path.parents:
            content, read = path.read_bytes(), read + 1
            assert not any(secret in content for secret in secrets), path
    assert read > 100
    client = installation.bucket()
    for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        content = client.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
        assert not any(secret in content for secret in secrets), item["Key"]
    for server in installation.servers.values():
        if server.process is not None:
            own_process = psutil.Process(server.process.pid)
            for process in (own_process, *own_process.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    assert PLANTED not in " ".join(process.cmdline())
