"""Private APIs of Feast and Evidently that Headrace uses: each is listed, exists, and is bound to a tested version.

A public API replaces none of them: Feast's extension points are methods with an underscore, and Evidently's tests of a
column can be registered in its `legacy` package only.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import warnings
from importlib.metadata import version
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src" / "headrace"
PACKAGES = ("evidently", "feast", "great_expectations", "mlflow", "prefect")

#: Package -> series whose private APIs were read when this list was written.
TESTED = {"evidently": "0.7.", "feast": "0.67."}

#: (module, name) -> file that imports it.
IMPORTS = {
    ("feast.utils", "_convert_arrow_to_proto"): "store/compute.py",
    ("feast.utils", "_parse_feature_ref"): "store/offline.py",
    ("evidently.legacy.calculations.stattests", "StatTest"): "monitor/report/rendering.py",
    ("evidently.legacy.calculations.stattests", "register_stattest"): "monitor/report/rendering.py",
    ("evidently.legacy.calculations.stattests.registry", "_registered_stat_tests"): "monitor/report/rendering.py",
    ("evidently.legacy.core", "ColumnType"): "monitor/report/rendering.py",
    ("evidently.legacy.renderers.html_widgets", "plotly_figure"): "monitor/report/rendering.py",
    ("evidently.legacy.renderers.html_widgets", "text_widget"): "monitor/report/rendering.py",
}

#: (module, class, method, parameters) -> file that overrides it.
OVERRIDES = {
    (
        "feast.infra.compute_engines.base",
        "ComputeEngine",
        "_materialize_one",
        ("registry", "task"),
    ): "store/compute.py",
    (
        "feast.infra.offline_stores.offline_store",
        "RetrievalJob",
        "_to_arrow_internal",
        ("timeout",),
    ): "store/offline.py",
    ("feast.infra.offline_stores.offline_store", "RetrievalJob", "_to_df_internal", ("timeout",)): "store/offline.py",
    ("feast.data_source", "DataSource", "_to_proto_impl", ()): "store/source.py",
    ("feast.data_source", "DataSource", "_set_timestamps_in_proto", ("data_source_proto",)): "store/source.py",
}


def _load(module: str) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(module)


def _private_imports() -> set[tuple[str, str]]:
    found = set()
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
                parts = node.module.split(".")
                private = "legacy" in parts or any(part.startswith("_") for part in parts)
                found |= {(node.module, name.name) for name in node.names if private or name.name.startswith("_")}
    return found


def test_every_private_import_is_listed() -> None:
    assert _private_imports() == set(IMPORTS), "list it here, or use a public API"


@pytest.mark.parametrize(("package", "series"), TESTED.items())
def test_the_version_is_one_whose_private_apis_were_read(package: str, series: str) -> None:
    uses = [use for table in (IMPORTS, OVERRIDES) for key, use in table.items() if key[0].startswith(package)]
    assert version(package).startswith(series), (
        f"{package} {version(package)}: read what it does now in place of the names listed here, see that"
        f" {', '.join(sorted(set(uses)))} still do(es) what it should, then change TESTED"
    )


@pytest.mark.parametrize(("module", "name"), IMPORTS)
def test_an_imported_name_exists(module: str, name: str) -> None:
    assert hasattr(_load(module), name), f"{module} has no {name} any more: look at {IMPORTS[module, name]}"


@pytest.mark.parametrize("overridden", OVERRIDES)
def test_an_overridden_method_exists(overridden: tuple[str, str, str, tuple[str, ...]]) -> None:
    module, owner, method, parameters = overridden
    function = getattr(getattr(_load(module), owner), method, None)
    assert function is not None, f"{owner} has no {method} any more: look at {OVERRIDES[overridden]}"
    present = tuple(inspect.signature(function).parameters)
    assert present[1 : len(parameters) + 1] == parameters, f"{method}{present}: look at {OVERRIDES[overridden]}"


def test_evidently_has_the_statistical_tests_that_reports_show() -> None:
    from headrace.monitor.report.rendering import METHODS

    registry = _load("evidently.legacy.calculations.stattests.registry")
    registered = set(registry._registered_stat_tests)  # type: ignore[attr-defined]
    missing = {method for method, _ in METHODS.values()} - registered
    assert not missing, "Evidently has renamed statistical tests: correct METHODS in monitor/report/rendering.py"


def test_feast_keeps_the_version_history_of_views_in_this_table() -> None:
    table = _load("feast.infra.registry.sql").feature_view_version_history  # type: ignore[attr-defined]
    assert {"project_id", "feature_view_name"} <= set(table.c.keys()), "look at store/feast_registry.py"
