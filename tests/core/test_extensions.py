"""Extensions by name: where they come from, what is refused, and what their code's digest depends on."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from headrace.core import extensions
from headrace.core.errors import DeclarationError, NotFoundError
from headrace.core.extension_code import code_digest
from headrace.core.extensions import Catalogue, Handed, hand_over, is_known

MODULE = '''"""A family of a user's own."""

from dataclasses import dataclass

from headrace.schema import Monitoring


def helper(x):
    """Twice."""
    return 2 * x  # for now


@dataclass(frozen=True)
class Own:
    size: int = 3
    name: str = "own"

    def fit(self, x):
        return helper(x) + self.size


own, large = Own(), Own(size=4)
watched = Monitoring(window="7d")
'''


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(extensions, "_HANDED", {})
    yield
    for name in [name for name in sys.modules if name.startswith("own_of_a_test")]:
        del sys.modules[name]


def module(folder: Path, text: str) -> ModuleType:
    """The text as a module of its own."""
    path = folder / f"own_of_a_test_{len(list(folder.iterdir()))}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # for now", ""),
        ('"""Twice."""', '"""Two times."""'),
        ('"""A family of a user\'s own."""\n', ""),
        ('window="7d"', 'window="14d"'),
        ("2 * x", "2  *  x"),
    ],
)
def test_comments_docstrings_layout_and_declarations_are_no_code(tmp_path: Path, old: str, new: str) -> None:
    assert old in MODULE
    one, other = module(tmp_path, MODULE), module(tmp_path, MODULE.replace(old, new))
    assert code_digest(one.own) == code_digest(other.own)


def test_code_and_state_are(tmp_path: Path) -> None:
    one = module(tmp_path, MODULE)
    assert code_digest(one.own) != code_digest(one.large)
    for old, new in (("2 * x", "3 * x"), ("size: int = 3", "size: int = 5"), ("+ self.size", "- self.size")):
        assert code_digest(one.own) != code_digest(module(tmp_path, MODULE.replace(old, new)).own), new


def test_functions_that_an_object_of_ours_holds_are_its_code(tmp_path: Path) -> None:
    """As a family of aggregations holds its kernel, and a transform a closure over the author's function."""
    text = "from headrace.synthesis.transforms.transform import of_numbers\n"
    text += "HALF = of_numbers('half', 'a / 2', lambda a: a / {})\n"
    half, third = module(tmp_path, text.format(2)).HALF, module(tmp_path, text.format(3)).HALF
    again = module(tmp_path, f"# the same\n{text.format(2)}").HALF
    assert code_digest(half) == code_digest(again) != code_digest(third)


def test_where_a_name_comes_from(tmp_path: Path) -> None:
    catalogue: Catalogue[object] = Catalogue("drift_test", {"ours": 1})
    own = module(tmp_path, MODULE).own
    assert list(catalogue) == ["ours"]
    assert "own" not in catalogue
    hand_over([Handed(kind="drift_test", name="own", value=own, file=tmp_path / "problem.py")])
    assert (catalogue["own"], catalogue.named("own")) == (own, own)
    assert (catalogue.origin("own"), catalogue.origin("ours")) == (tmp_path / "problem.py", None)
    assert (list(catalogue), list(catalogue.built_in)) == (["ours", "own"], ["ours"])
    assert (catalogue.code("ours"), catalogue.code("own")) == ("", code_digest(own))


def test_names_that_cannot_be_used(tmp_path: Path) -> None:
    catalogue: Catalogue[object] = Catalogue("drift_test", {"ks": 1})
    with pytest.raises(DeclarationError, match=r"here: no drift test 'sk'. found: ks. name one of these, hand the obj"):
        catalogue.named("sk", where="here")
    with pytest.raises(NotFoundError):
        catalogue.named("sk", unknown=NotFoundError)
    hand_over([Handed(kind="drift_test", name="ks", value=object(), file=tmp_path / "a.py")])
    with pytest.raises(DeclarationError, match=r"two drift tests are called 'ks'. found: Headrace itself, .*a.py"):
        catalogue.named("ks")


def test_two_problem_files_may_share_a_name_only_for_the_same_code(tmp_path: Path) -> None:
    one = Handed(kind="family", name="own", value=module(tmp_path, MODULE).own, file=tmp_path / "a.py")
    same = Handed(kind="family", name="own", value=module(tmp_path, MODULE).own, file=tmp_path / "b.py")
    edited = module(tmp_path, MODULE.replace("2 * x", "3 * x")).own
    hand_over([one])
    assert is_known(one)
    hand_over([same])
    with pytest.raises(DeclarationError, match=r"c.py: two problems hand over different code as family 'own'.*b.py"):
        hand_over([Handed(kind="family", name="own", value=edited, file=tmp_path / "c.py")])
    hand_over([Handed(kind="family", name="own", value=edited, file=tmp_path / "b.py")])  # the file was edited
    assert Catalogue("family", {})["own"] is edited


def test_code_in_no_file_is_refused() -> None:
    names: dict[str, object] = {"__name__": "nowhere_of_a_test"}
    exec("class Own:\n    name = 'own'\n", names)
    with pytest.raises(DeclarationError, match=r"'nowhere_of_a_test' is in no file"):
        code_digest(names["Own"])
