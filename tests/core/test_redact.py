"""No secret of an address gets through, whatever it is made of and wherever the address stands."""

from __future__ import annotations

import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.core.errors import HeadraceError
from headrace.core.redact import redact

#: What a password may hold, raw: anything but white space.
_SECRETS = st.text(string.ascii_letters + string.digits + "!#$%&'()*+,-./:;=?@[]^_`{|}~\"\\", min_size=6).map(
    lambda text: f"s3cr{text}T"
)
#: Busy machines are slow at drawing, too.
_PATIENT = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
_AROUND = st.text(string.ascii_letters + " '\",.()[]{}=", max_size=20)


@_PATIENT
@given(
    kind=st.sampled_from(
        ["http", "https", "postgresql", "postgresql+psycopg", "mysql", "redis", "HTTP", "mongodb+srv"]
    ),
    slashes=st.sampled_from(["//", "/"]),
    user=st.sampled_from(["user", "me%40work", ""]),
    secret=_SECRETS,
    before=_AROUND,
    after=_AROUND,
)
def test_credentials_of_servers(kind: str, slashes: str, user: str, secret: str, before: str, after: str) -> None:
    shown = redact(f"{before} {kind}:{slashes}{user}:{secret}@host:5432/db {after}")
    assert secret not in shown
    assert f"{kind}:{slashes}***@host:5432/db" in shown
    assert redact(shown) == shown


@_PATIENT
@given(
    kind=st.sampled_from(["slack", "mailtos", "tgram", "discord", "jsons", "pover", "new+kind"]),
    secret=_SECRETS,
    after=_AROUND,
)
def test_everything_of_an_alert_address(kind: str, secret: str, after: str) -> None:
    assert secret not in redact(f"where {kind}://{secret}/more {after}")
    assert secret not in redact(f"where {kind}://name:{secret}@host/more?x=1 {after}")


@_PATIENT
@given(name=st.sampled_from(["token", "api_key", "password", "X-Amz-Signature", "auth"]), value=st.integers(10**9))
def test_parameters_that_are_named_like_a_secret(name: str, value: int) -> None:
    shown = redact(f"https://host/path?a=1&{name}={value}&page=2")
    assert shown == f"https://host/path?a=1&{name}=***&page=2"


@_PATIENT
@given(secret=st.text(string.ascii_letters, min_size=6).map(lambda text: f"s3cr{text}"))
def test_an_address_that_was_cut_off(secret: str) -> None:
    assert secret not in redact(f"cannot parse http://user:{secret} at all")
    assert secret not in redact(f"cannot parse 'http://user:{secret}'")


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:5000/#/experiments/1",
        "http://[::1]:4200/api.",
        "see 'http://localhost:8080', or https://example.org/a?page=2",
        "models:/flights@champion and runs:/abc",
        "sqlite:////home/a@b/mlflow.db file:///home/a@b/x",
        "HOUR(scheduled_departure), 7d: nothing here; a/b:c/d",
        "/data/orders.csv: no such file",
        "s3://bucket/folder/key.parquet",
    ],
)
def test_what_holds_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_an_error_tells_no_secret_in_any_part() -> None:
    address = "http://user:hunter22@host/x"
    error = HeadraceError(f"no {address}", where=address, found=[address, 7], fix=f"start {address}")
    parts = [str(error), repr(error), error.what, error.where, error.fix, *map(str, error.found)]
    assert "hunter22" not in " ".join(parts)
    assert str(error).count("http://***@host/x") == 4
    assert error.found[1] == 7


def test_api_keys_are_masked_wherever_they_stand() -> None:
    key = "headrace_0123456789ab_" + "aZ9_-" * 8 + "abc"
    for text in (f"key {key}.", f"http://host/{key}", f"Bearer {key}"):
        assert "aZ9_-" not in redact(text)
        assert redact(redact(text)) == redact(text)
    assert redact(f"key {key}.") == "key headrace_***."
