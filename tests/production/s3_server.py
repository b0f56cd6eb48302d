"""Serve an S3 API that demands signatures and keeps its objects through a kill: `s3_server.py PORT FOLDER`.

moto's server, a simulation of S3, keeps everything in memory. `Journal` appends each change to a file before it is
answered, and at a start makes the changes of that file again before the port is opened. One request is answered at a
time, so that lines of the file never mix. The keys come from files, as in compose.s3.yaml.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
_UPLOAD = re.compile(r"<UploadId>([^<]+)</UploadId>")


class Journal:
    """WSGI middleware: refuses unsigned requests, which moto fails on, and records successful changes.

    Attributes:
        file: One change a line, with the id that the server gave to an upload in parts.
    """

    def __init__(self, application: Any, file: Path) -> None:
        self._application = application
        self.file = file

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        from werkzeug.test import run_wsgi_app

        if "HTTP_AUTHORIZATION" not in environ:
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"unsigned\n"]
        sent = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(sent)
        answer, status, headers = run_wsgi_app(self._application, environ, buffered=True)
        body = b"".join(answer)
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD") and status.startswith("2"):
            self._record(environ, sent, _UPLOAD.search(body.decode(errors="replace")))
        start_response(status, list(headers))
        return [body]

    def _record(self, environ: dict[str, Any], sent: bytes, upload: re.Match[str] | None) -> None:
        kept = {key: value for key, value in environ.items() if isinstance(value, str)}
        entry = {"environ": kept, "sent": base64.b64encode(sent).decode(), "upload": upload[1] if upload else ""}
        with self.file.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def replay(self) -> None:
        """Make all recorded changes again. Uploads in parts get new ids, which replace the recorded ones."""
        from werkzeug.test import run_wsgi_app

        ids: dict[str, str] = {}
        for line in self.file.read_bytes().splitlines() if self.file.exists() else ():
            entry = json.loads(line)
            environ, sent = entry["environ"], base64.b64decode(entry["sent"])
            for old, new in ids.items():
                environ["QUERY_STRING"] = environ["QUERY_STRING"].replace(old, new)
            environ |= {
                "wsgi.input": io.BytesIO(sent), "wsgi.errors": sys.stderr, "wsgi.version": (1, 0),
                "wsgi.multithread": False, "wsgi.multiprocess": False, "wsgi.run_once": False,
            }  # fmt: skip
            answer, status, _ = run_wsgi_app(self._application, environ, buffered=True)
            body = b"".join(answer).decode(errors="replace")
            assert status.startswith("2"), (environ["REQUEST_METHOD"], environ["PATH_INFO"], body)
            if (found := _UPLOAD.search(body)) and entry["upload"]:
                ids[entry["upload"]] = found[1]


def serve(port: int, folder: Path) -> None:
    """Serve on the loopback address until the process ends."""
    from moto import settings
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import run_simple

    journal = Journal(DomainDispatcherApplication(create_backend_app), folder / "changes.jsonl")
    journal.replay()
    _make_user(os.environ["AWS_ACCESS_KEY_ID_FILE"], os.environ["AWS_SECRET_ACCESS_KEY_FILE"])
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0  # from now on signatures are checked
    run_simple("127.0.0.1", port, journal, threaded=False, request_handler=MotoRequestHandler)


def _make_user(identity: str, secret: str) -> None:
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.iam.models import iam_backends

    backend = iam_backends[DEFAULT_ACCOUNT_ID]["aws"]
    backend.create_user("us-east-1", "headrace")
    backend.put_user_policy("headrace", "s3", _POLICY)
    key = backend.create_access_key("headrace")
    key.access_key_id, key.secret_access_key = (Path(path).read_text().strip() for path in (identity, secret))


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
