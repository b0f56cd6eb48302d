"""Tokens of the page's forms: a form is accepted from the page that this server gave to the same browser.

The page sets a random cookie that no script can read and no other site sends (HttpOnly, SameSite=Strict). Each form
contains the cookie's HMAC with a key of this server; a page that cannot read ours cannot make one. Restarting the
server changes the key: a page from before is refused, and says to reload. (Signed double submit, as OWASP describes.)
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

COOKIE = "headrace_browser"
FIELD = "token"
_LENGTH = 32


def new_key() -> bytes:
    """Return a random key."""
    return secrets.token_bytes(_LENGTH)


class FormTokens:
    """Makes and checks tokens. key: secret that all processes of the server share (`new_key`)."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def new_cookie(self) -> str:
        """Return a random value for the cookie of a browser that has none."""
        return secrets.token_urlsafe(_LENGTH)

    def token(self, cookie: str) -> str:
        """Return the token of forms for a browser with this cookie."""
        return hmac.new(self._key, cookie.encode(), hashlib.sha256).hexdigest()

    def is_valid(self, cookie: str | None, token: str | None) -> bool:
        """Whether a form with this token came from a page for the browser with this cookie."""
        if not cookie or not token or not token.isascii():
            return False
        return hmac.compare_digest(self.token(cookie), token)
