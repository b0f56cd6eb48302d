"""Feast's universal online tests against our online store and against Feast's own SQLite store, side by side.

    python -m tests.conformance.universal [--source FOLDER]        make feast-conformance [FEAST_SOURCE=FOLDER]

Feast's source distribution leaves its tests out (`prune sdk/python/tests`), so they come from its repository: a
checkout that is named, or a shallow clone of the tag of the installed version. Nothing of it is kept in this one.
Exit code 1 where a test passes for SQLite and not for ours.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUTS = HERE.parent.parent / ".venv-feast"
REPOSITORY = "https://github.com/feast-dev/feast"
#: The modules of Feast's tests that ask something of any online store.
MODULES = tuple(
    f"tests/integration/online_store/test_{name}.py"
    for name in ("universal_online", "universal_online_types", "push_features_to_online_store", "universal_e2e")
)
STORES = ("headrace", "sqlite")
#: Why a test that has no verdict has none.
NOT_APPLICABLE = {
    "dynamo": "starts DynamoDB in a container",
    "documents": "vector search, kept to stores that have it",
    "milvus": "vector search, kept to Milvus",
    "image_search": "vector search, kept to Milvus",
    "openai": "vector search, kept to pgvector and Elasticsearch",
    "": "kept by Feast to other stores (Redis, Postgres, MongoDB)",
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.universal", description=__doc__)
    parser.add_argument("--source", type=Path, help="a checkout of Feast's repository, at the installed version")
    source = parser.parse_args(arguments).source or _clone(version("feast"))
    verdicts = {store: _run(store, source.resolve() / "sdk" / "python") for store in STORES}
    names = dict.fromkeys(name for found in verdicts.values() for name in found)
    print(f"\nFeast {version('feast')}, universal online tests of {source}\n")
    print(f"{'ours':8} {'SQLite':8} test")
    for name in names:
        ours, sqlite = (verdicts[store].get(name, "absent") for store in STORES)
        print(f"{ours:8} {sqlite:8} {name}{_reason(name) if 'n/a' in (ours, sqlite) else ''}")
    for store in STORES:
        print(f"{store}: {dict(Counter(verdicts[store].values()))}")
    return int(any(verdicts["headrace"].get(name) != "passed" == verdicts["sqlite"].get(name) for name in names))


def _clone(tag: str) -> Path:
    folder = CHECKOUTS / f"feast-{tag}"
    if not folder.exists():
        command = ["git", "clone", "--quiet", "--depth", "1", "--branch", f"v{tag}", REPOSITORY, str(folder)]
        subprocess.run(command, check=True)
    return folder


def _run(store: str, folder: Path) -> Mapping[str, str]:
    """Test -> passed, failed or n/a."""
    environment = os.environ | {
        "HEADRACE_CONFORMANCE": store,
        "FULL_REPO_CONFIGS_MODULE": "feast_stores",
        "FEAST_IS_LOCAL_TEST": "True",
        "FEAST_USAGE": "False",
        "IS_TEST": "True",
        "PYTHONPATH": os.pathsep.join([str(HERE), str(folder)]),
    }
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-c", str(HERE / "universal.ini"), "--rootdir", str(folder)]
        command += ["-p", "feast_stores", "-p", "no:cacheprovider", "-p", "no:logging"]
        command += ["--integration", "-q", "--tb=short", f"--junitxml={report}", *MODULES]
        subprocess.run(command, cwd=folder, env=environment, check=False)
        return _verdicts(report, store)


def _verdicts(report: Path, store: str) -> Mapping[str, str]:
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').rsplit('.', 1)[-1]}::{case.get('name', '')}"
        kinds = {child.tag for child in case}
        name = name.replace("headrace.store.embedded.HeadraceOnlineStore", "sqlite")
        absent = "skipped" in kinds or "dynamo" in name
        found[name] = "n/a" if absent else "failed" if kinds & {"failure", "error"} else "passed"
    return found


def _reason(name: str) -> str:
    return "  (" + next(reason for word, reason in NOT_APPLICABLE.items() if word in name) + ")"


if __name__ == "__main__":
    sys.exit(main())
