"""Adds the pages of the documentation site that are made from other files. MkDocs calls the functions `on_*`.

| page | made from |
|---|---|
| index, contributing, changelog, infrastructure | README.md, CONTRIBUTING.md, CHANGELOG.md, infra/README.md |
| reference/command | the help texts of `headrace`, which `make docs` writes to build/docs/command.md |
| reference/ROOM | the docstrings of the modules in REFERENCE |
| notebooks/NAME | docs/notebooks/NAME.ipynb, with its stored outputs |

A link that leaves docs/ is rewritten: to the page made from its target, or to a copy of the file.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # MkDocs loads this file by its path

from infra.notebook_pages import page_of

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
COMMAND = ROOT / "build" / "docs" / "command.md"

#: File of the repository -> page of the site.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "infra/README.md": "infrastructure.md",
}

#: Files outside docs/ that pages show or link to.
COPIES = (".env.example", "benchmarks/results/study-example.png")

#: Page of the reference -> (title, what the room is for, packages or modules of it that are public).
REFERENCE: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "python": (
        "Python functions",
        "The functions of `import headrace` and what they return ([guide](../parts.md)).",
        tuple(
            f"headrace.library.{name}"
            for name in ("synthesize", "minimize", "compare", "comparison", "run", "champion", "model")
        ),
    ),
    "schema": (
        "Schema",
        "Tables, relationships and problems: what a [problem file](../your-own-problem.md) declares.",
        tuple(
            f"headrace.schema.{name}"
            for name in (
                "problem",
                "table",
                "entity_set",
                "entity",
                "spine",
                "horizon",
                "feed",
                "monitoring",
                "policy",
                "racing",
            )
        ),
    ),
    "language": ("Feature definitions", "Definitions of features as data.", ("headrace.synthesis.language",)),
    "primitives": (
        "Primitives",
        "Aggregations and transforms that synthesis builds features from; [by name](../features.md#catalogue).",
        ("headrace.synthesis.primitives",),
    ),
    "synthesis": (
        "Engines",
        "From definitions to a plan, and from a plan to a feature matrix; the oracle defines the values.",
        ("headrace.synthesis.planning", "headrace.synthesis.engines", "headrace.synthesis.oracle"),
    ),
    "evaluate": ("Evaluation", "Windows in time, metrics with a direction, the gate.", ("headrace.evaluate",)),
    "search": (
        "Search",
        "Search spaces, searchers and studies ([guide](../search.md)).",
        ("headrace.search.trial", "headrace.search.space", "headrace.search.searchers", "headrace.search.study"),
    ),
    "models": ("Models", "Model families, the model bundle, explanation.", ("headrace.models",)),
    "store": ("Feature store", "Feast's offline and online store, and what is published to it.", ("headrace.store",)),
    "serving": ("Serving", "From entity keys to a logged prediction.", ("headrace.serving",)),
    "monitor": (
        "Monitoring",
        "Drift tests, evidence, and the policy that turns evidence into a decision ([guide](../drift.md)).",
        ("headrace.monitor.drift_tests", "headrace.monitor.evidence", "headrace.monitor.policy"),
    ),
    "testing": (
        "Conformance suites",
        "Tests that [extensions](../extending.md) inherit.",
        ("headrace.testing",),
    ),
    "core": ("Core", "Errors, the clock, fingerprints, settings.", ("headrace.core",)),
}

#: Pages made from notebooks; their links to a notebook download it, those of other pages open its page.
NOTEBOOKS = tuple(f"notebooks/{path.stem}.md" for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")))

LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(#[^)\s]*)?(?=\))")


def modules(name: str) -> list[str]:
    """The modules of a package with public code in them, by name; a module is itself."""
    path = ROOT / "src" / name.replace(".", "/")
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    names = [".".join(file.relative_to(ROOT / "src").with_suffix("").parts) for file in files if _public(file)]
    return [one.removesuffix(".__init__") for one in names]


def _public(file: Path) -> bool:
    return bool(re.search(r"^(?:class|def|[A-Za-z]\w*(?:: [^=]+)? =)", file.read_text(), re.MULTILINE))


def reference(title: str, intro: str, packages: tuple[str, ...]) -> str:
    """A page of the reference: the docstrings of all modules of some packages."""
    parts = [f"# {title}\n\n{intro}"]
    parts += [f"::: {module}" for package in packages for module in modules(package)]
    return "\n\n".join(parts) + "\n"


def pages() -> dict[str, str]:
    """Page of the site -> Markdown, for all pages that are no file of docs/."""
    made = {page: (ROOT / file).read_text() for file, page in PAGES.items()}
    made |= {f"notebooks/{path.stem}.md": page_of(path) for path in (ROOT / "docs" / "notebooks").glob("*.ipynb")}
    made["reference/command.md"] = whole_summaries(COMMAND.read_text()) if COMMAND.exists() else "# Command\n"
    rows = [f"| [{title}]({name}.md) | {intro} |" for name, (title, intro, _) in REFERENCE.items()]
    made["reference/index.md"] = "\n".join(
        ["# Reference", "", "| part | what it is |", "|---|---|", "| [Command](command.md) | `headrace` |", *rows, ""]
    )
    return made | {f"reference/{name}.md": reference(*page) for name, page in REFERENCE.items()}


def whole_summaries(page: str) -> str:
    """Typer's page of a command, with the summaries in its list of subcommands in full; Typer cuts them."""
    # The last word of a command is its name in the list of its group; no two commands share one.
    summaries = dict(re.findall(r"^##+ `headrace (?:[\w-]+ )?([\w-]+)`\n\n([^\n]+)", page, re.MULTILINE))
    return re.sub(r"^\* `([\w-]+)`: .*\.\.\.$", lambda m: f"* `{m[1]}`: {summaries[m[1]]}", page, flags=re.MULTILINE)


def copies() -> dict[str, str]:
    """File of the repository -> its copy in the site, of the files that pages link to outside of docs/."""
    return {name: f"files/{name.removeprefix('.')}" for name in COPIES}


def decisions() -> list[dict[str, str] | str]:
    """Entries of the navigation for docs/adr, in order."""
    files = sorted(path for path in (ROOT / "docs" / "adr").glob("*.md") if path.name != "README.md")
    titles = [path.read_text().splitlines()[0].removeprefix("# ") for path in files]
    return ["adr/README.md", *({title: f"adr/{path.name}"} for title, path in zip(titles, files, strict=True))]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replace the names `adr` and `reference` in the navigation by their pages."""
    rooms = [{title: f"reference/{name}.md"} for name, (title, _, _) in REFERENCE.items()]
    lists: dict[str, Any] = {
        "adr": decisions(),
        "reference": ["reference/index.md", {"Command": "reference/command.md"}, *rooms],
    }

    def filled(entry: Any) -> Any:
        if isinstance(entry, list):
            return [filled(one) for one in entry]
        if isinstance(entry, dict):
            return {key: filled(value) for key, value in entry.items()}
        return lists.get(entry, entry)

    config.nav = filled(config.nav)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are no file of docs/, and the files that pages link to outside of docs/."""
    from mkdocs.structure.files import File  # only .venv-docs has MkDocs, and tests import this module without it

    for name, text in pages().items():
        files.append(File.generated(config, name, content=text))
    for name, copy in copies().items():
        files.append(File.generated(config, copy, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links that are relative to the repository into links of the site."""
    sources = {site: source for source, site in PAGES.items()}
    here = sources.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    return LINK.sub(
        lambda match: link_in_site(match.group(1), page.file.src_uri, here) + (match.group(2) or ""), markdown
    )


def link_in_site(link: str, page: str, here: str) -> str:
    """A link of the file `here` of the repository, as the page `page` of the site has to write it."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(here), link))
    if target in PAGES:
        target = PAGES[target]
    elif target in COPIES:
        target = copies()[target]
    elif target.startswith("docs/"):
        target = re.sub(r"^docs/(notebooks/\w+)\.ipynb$", r"docs/\1.md", target) if page not in NOTEBOOKS else target
        target = target.removeprefix("docs/")
    else:
        return link
    return posixpath.relpath(target, posixpath.dirname(page) or ".")
