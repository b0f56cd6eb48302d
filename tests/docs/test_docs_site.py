"""The documentation site has every page, and its reference every module that it names. `make docs` builds it."""

from __future__ import annotations

import importlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from infra import documentation
from tests.docs.blocks import ROOT


def entries(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for one in nav.values() if isinstance(nav, dict) else nav:
            yield from entries(one)


def test_every_page_is_in_the_navigation_once() -> None:
    config: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    named = Counter(entries(config["nav"]))
    named.update(entries(documentation.decisions()))
    reference = [page for page in documentation.pages() if page.startswith("reference/")]
    assert named.pop("adr") == named.pop("reference") == 1
    own = [str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")]
    made = [page for page in documentation.pages() if page not in reference]
    assert named == Counter([*own, *made])


@pytest.mark.parametrize("name", documentation.REFERENCE)
def test_the_reference_names_modules_that_exist(name: str) -> None:
    packages = documentation.REFERENCE[name][2]
    assert packages
    for package in packages:
        found = documentation.modules(package)
        assert found
        assert all(importlib.util.find_spec(module) for module in found)


def test_links_out_of_docs_stay_in_the_site() -> None:
    made = documentation.pages()
    folder = ROOT / "docs"
    for page in [*(str(path.relative_to(folder)) for path in folder.rglob("*.md")), *documentation.PAGES.values()]:
        source = {site: file for file, site in documentation.PAGES.items()}.get(page, f"docs/{page}")
        text = re.sub(r"```.*?```", "", (ROOT / source).read_text(), flags=re.DOTALL)
        for link, _ in re.findall(documentation.LINK, text):
            target = documentation.link_in_site(link, page, source)
            path = (folder / page).parent / target
            inside = str(path.resolve().relative_to(folder))
            assert inside in made or path.is_file() or inside in documentation.copies().values(), f"{source}: {link}"


def test_nothing_is_fetched_by_a_page() -> None:
    theme = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["theme"]
    assert theme["font"] is False


def test_summaries_of_commands_are_whole() -> None:
    sections = "\n\n## `headrace up`\n\nStart the services.\n\n### `headrace alerts show`\n\nShow all of it.\n"
    found = documentation.whole_summaries(f"* `up`: Start the...\n* `show`: Show all...{sections}")
    assert found == f"* `up`: Start the services.\n* `show`: Show all of it.{sections}"


def test_a_notebook_is_a_page_with_its_outputs() -> None:
    page = documentation.pages()["notebooks/drift.md"]
    assert page.startswith("# Drift between two data frames\n\n[Download this notebook](drift.ipynb)")
    assert "```python\nimport headrace\n" in page
    assert '<pre class="output">Drifted: dep_delay' in page
    assert '<div class="output" markdown="0"><div>' in page
    assert '<img class="output" alt=' in page
    assert "\n\n" not in page[page.index("<table") : page.index("</table>")]


def test_links_to_notebooks_open_their_pages() -> None:
    assert documentation.link_in_site("notebooks/drift.ipynb", "parts.md", "docs/parts.md") == "notebooks/drift.md"
    own = documentation.link_in_site("drift.ipynb", "notebooks/drift.md", "docs/notebooks/drift.md")
    assert own == "drift.ipynb"
