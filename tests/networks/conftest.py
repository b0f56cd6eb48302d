"""Tests of networks that need PyTorch are skipped where it is not installed."""

from __future__ import annotations

import importlib.util

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if importlib.util.find_spec("torch") is None:
        skip = pytest.mark.skip(reason="PyTorch is not installed: make test-neural runs these tests")
        for item in items:
            if item.get_closest_marker("neural"):
                item.add_marker(skip)
