"""Feast's universal online tests, pointed at one online store: a plugin for the pytest that runs them.

Feast reads FULL_REPO_CONFIGS_MODULE for the stores to test. HEADRACE_CONFORMANCE says which: `headrace` or `sqlite`.
Ours stands under the name `sqlite`, so tests that Feast keeps to its SQLite store are asked of ours too.
"""

from __future__ import annotations

import asyncio
import importlib.abc
import importlib.util
import inspect
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest

STORES: dict[str, dict[str, str]] = {
    "headrace": {"type": "headrace.store.embedded.HeadraceOnlineStore", "path": "online.db"},
    "sqlite": {"type": "sqlite", "path": "online.db"},
}
#: Packages that Feast's tests import for services in containers and in clouds, none of which is started here.
ABSENT = ("boto3", "botocore", "google.cloud", "keycloak", "minio", "testcontainers")

AVAILABLE_ONLINE_STORES = {"sqlite": (STORES[os.environ.get("HEADRACE_CONFORMANCE", "headrace")], None)}


class _Unusable(type):
    """A class for anything in an absent package: it can be imported and subclassed, and fails when it is used."""

    def __call__(cls, *_: object, **__: object) -> Any:
        raise RuntimeError(f"{cls.__name__} is of a package that is not installed here")


class _Stand(ModuleType):
    __path__: Sequence[str] = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Unusable(name, (), {})


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands in for the packages of ABSENT. It is asked last, so an installed one is used."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if any(fullname == name or fullname.startswith(f"{name}.") for name in ABSENT):
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Stand(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _That:
    """The assertions of the package `assertpy` that the tests make."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def is_equal_to(self, other: Any) -> None:
        assert self.value == other

    def is_close_to(self, other: float, tolerance: float) -> None:
        assert abs(self.value - other) <= tolerance

    def is_none(self) -> None:
        assert self.value is None


if importlib.util.find_spec("assertpy") is None:
    sys.modules["assertpy"] = ModuleType("assertpy")
    sys.modules["assertpy"].assert_that = _That  # type: ignore[attr-defined]
sys.meta_path.append(_Finder())


def __getattr__(name: str) -> Any:
    """Feast's file store holds the tests' history. Looked up late: this module is loaded before Feast's tests are."""
    if name == "AVAILABLE_OFFLINE_STORES":
        from tests.universal.feature_repos.universal.data_sources.file import (  # type: ignore[import-not-found]
            FileDataSourceCreator,
        )

        return [("local", FileDataSourceCreator)]
    raise AttributeError(name)


@pytest.fixture(scope="session")
def worker_id() -> str:
    """What pytest-xdist would provide."""
    return "master"


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run asynchronous tests, as pytest-asyncio would."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True
