"""The code that a registered model carries, so that it loads where Headrace is not installed.

A model's `code` folder is put in front of `sys.path` by MLflow. A copy named `headrace` there would shadow an
installed Headrace for the whole process, and the second version that is loaded would run the first one's code. So the
copy has a name of its own, made from the digest of what it holds:

    code/headrace_model_<digest>/...    the modules that prediction imports, their imports renamed

Only the modules that can be reached from the loader are copied, found by reading their import statements. The
requirements are read from the same statements and pinned to the versions that are installed here.

A model family that is not built in comes along: the problem file, or the package's module, that defines it is copied
beside them as `carried_family`, and `carried_extensions` makes the family known before the bundle is loaded. What such
a file imports from its own folder is not copied.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions as find_distributions
from importlib.metadata import version
from pathlib import Path

from headrace.models.families import FAMILIES, get_family
from headrace.registry.pyfunc import EXTENSIONS

_PACKAGE = "headrace"
#: Where the loader's code starts.
LOADER = "headrace.registry.pyfunc"
_CARRIED = f"{_PACKAGE}.carried_family"
#: The module that makes an extension known: loaded by `pyfunc` before the bundle.
_GLUE = """\
from {package} import carried_family as module
from {package}.core.extensions import Handed, hand_over

hand_over([Handed(kind="family", name={family!r}, value={value})])
"""
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}
_NAME = re.compile(rf"\b{_PACKAGE}\b")


@dataclass(frozen=True, kw_only=True)
class Import:
    """One imported module. lazy: inside a function, so it runs when the function is called, if ever."""

    module: str
    line: int
    lazy: bool


@dataclass(frozen=True, kw_only=True)
class ModelCode:
    """The modules behind the loader: dotted name -> source file. name: what their package is called in the model.

    family: the name of a family that is not built in, whose module is `carried_family`; "" for a built-in one. value:
    what it is in that module, as an expression.
    """

    modules: Mapping[str, Path]
    name: str
    family: str = ""
    value: str = ""

    @property
    def loader(self) -> str:
        """The loader's module inside the model."""
        return _NAME.sub(self.name, LOADER, count=1)

    def write(self, folder: Path) -> Path:
        """Copy the modules below a folder, renamed; the package's own folder, for MLflow's `code_paths`."""
        for module, source in self.modules.items():
            parts = module.split(".")[1:]
            target = folder.joinpath(self.name, *parts)
            target = target / "__init__.py" if source.name == "__init__.py" else target.with_suffix(".py")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_renamed(source, self.name))
        if self.family:
            glue = _GLUE.format(package=self.name, family=self.family, value=self.value)
            (folder / self.name / f"{EXTENSIONS}.py").write_text(glue)
        return folder / self.name

    def requirements(self, families: Sequence[str]) -> list[str]:
        """What prediction with these model families needs besides MLflow: `name==version`, as installed here.

        Another family's libraries count only where its module imports them at once.
        """
        other_families = {type(family_object).__module__ for family_object in FAMILIES.built_in.values()} - {
            type(get_family(family)).__module__ for family in families
        }
        roots = {
            imported.module.split(".")[0]
            for module, source in self.modules.items()
            for imported in _imports(source)
            if not (imported.lazy and module in other_families)
        }
        foreign = sorted(roots - set(sys.stdlib_module_names) - {_PACKAGE})
        return [f"{name}=={version(name)}" for name in map(_distribution, foreign)]


def _distribution(root: str) -> str:
    """The name of the installed package of a module: XGBoost's has another one without the libraries of a GPU."""
    if root == "xgboost" and any(find_distributions(name="xgboost-cpu")):
        return "xgboost-cpu"
    return _DISTRIBUTIONS.get(root, root)


def model_code(families: Sequence[str] = ()) -> ModelCode:
    """The code that a model of these families carries, when this process registers it; one may be an extension."""
    family = next((name for name in families if name not in FAMILIES.built_in), "")
    file, value = _extension(family) if family else (None, "")
    modules = dict(sorted(_reachable_modules(LOADER, file).items()))
    digest = hashlib.sha256(f"{family} {value}".encode() if value else b"")
    for module, source in modules.items():
        digest.update(f"{module}\0".encode() + source.read_bytes() + b"\0")
    name = f"{_PACKAGE}_model_{digest.hexdigest()[:12]}"
    return ModelCode(modules=modules, name=name, family=family if value else "", value=value)


def _extension(family: str) -> tuple[Path, str]:
    """The file that defines a family which is not built in, and the family in that file, as an expression."""
    value = get_family(family)
    origin = FAMILIES.origin(family)
    if isinstance(origin, Path):
        return origin, f"next(one.value for one in module.problem.extensions if one.name == {family!r})"
    module, _, attribute = (origin or f"{type(value).__module__}:{type(value).__qualname__}()").partition(":")
    return Path(str(importlib.import_module(module).__file__)), f"module.{attribute}"


def _reachable_modules(start: str, extension: Path | None = None) -> dict[str, Path]:
    """Every module of ours that a module imports, directly or through others, with the packages around them.

    extension: file of an extension whose imports count too, under the name `headrace.carried_family`.
    """
    modules: dict[str, Path] = {}
    pending = [start]
    if extension is not None:
        modules[_CARRIED] = extension
        pending += [imported.module for imported in _imports(extension) if imported.module.split(".")[0] == _PACKAGE]
    while pending:
        module = pending.pop()
        if module in modules:
            continue
        modules[module] = _source(module)
        pending += [
            imported.module for imported in _imports(modules[module]) if imported.module.split(".")[0] == _PACKAGE
        ]
        if "." in module:
            pending.append(module.rpartition(".")[0])
    return modules


def _source(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    return Path(spec.origin)


def _imports(source: Path) -> Iterator[Import]:
    """What a file imports; not what it imports for type checkers only."""
    yield from _walk(ast.parse(source.read_text()), lazy=False)


def _walk(node: ast.AST, *, lazy: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(module=item.name, line=node.lineno, lazy=lazy) for item in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module is not None and node.module != "__future__":
        yield Import(module=node.module, line=node.lineno, lazy=lazy)
        for item in node.names:
            whole = f"{node.module}.{item.name}"
            if node.module.split(".")[0] == _PACKAGE and _is_module(whole):
                yield Import(module=whole, line=node.lineno, lazy=lazy)
    inner = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield from _walk(child, lazy=inner)


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the part before the last dot is no package
        return False


def _renamed(source: Path, name: str) -> str:
    """A file's text with the imports of our modules renamed. Those for type checkers only are left: they never run."""
    lines = source.read_text().split("\n")
    for line in {found.line for found in _imports(source) if found.module.split(".")[0] == _PACKAGE}:
        lines[line - 1] = _NAME.sub(name, lines[line - 1], count=1)
    return "\n".join(lines)
