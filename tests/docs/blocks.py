"""The guides as a reader works through them: their fenced blocks, and how each kind is executed.

| fence | what is done |
|---|---|
| python title="shop.py" | a file, written |
| python | executed |
| text | what the Python block before it prints |
| sh | `headrace ...` in this process, ending with 0 or its `# exit code 3`; `curl ...` asked of the API |
| console | `$ headrace ...`, and all that it prints, but for numbers |
| json | fields and types of the answer to the curl before it |
"""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.command import headrace

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"\d+")
_EXIT_CODE = re.compile(r"#\s*exit code (\d+)\s*$")

#: (path, JSON body or None for GET) -> answer.
Ask = Callable[[str, Any], Any]


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block: where it starts, its language, the file that it is, and its text."""

    place: str
    line: int
    language: str
    title: str
    text: str


def blocks(page: str) -> tuple[Block, ...]:
    """The blocks of a page, named from the project's folder, in order."""
    text = (ROOT / page).read_text()
    lines = [text.count("\n", 0, match.start()) + 1 for match in _FENCE.finditer(text)]
    return tuple(
        Block(place=f"{page}, line {line}", line=line, language=language, title=title or "", text=body)
        for line, (language, title, body) in zip(lines, _FENCE.findall(text), strict=True)
    )


class Reader:
    """Executes blocks one after another, in the current folder; names that Python blocks define stay."""

    def __init__(self, home: Path, ask: Ask) -> None:
        self._home = home
        self._ask = ask
        self._names: dict[str, Any] = {"__name__": "guide"}
        self._printed: str | None = None
        self._answer: Any = None

    def execute(self, block: Block) -> None:
        """Do what a reader would do, or compare with what the page says. AssertionError where it differs."""
        if block.title:
            Path(block.title).write_text(block.text)
            return
        {
            "python": self._python,
            "text": self._text,
            "sh": self._sh,
            "console": self._console,
            "json": self._json,
        }[block.language](block)

    def _python(self, block: Block) -> None:
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile("\n" * block.line + block.text, block.place, "exec"), self._names)
        self._printed = printed.getvalue()

    def _text(self, block: Block) -> None:
        assert self._printed == block.text, block.place

    def _sh(self, block: Block) -> None:
        for command in commands(block.text):
            code = _EXIT_CODE.search(command)
            words = shlex.split(command, comments=True)
            if words[0] == "curl":
                self._answer = self._ask(*request(words))
            else:
                self._run(words, int(code.group(1)) if code else 0, block.place)

    def _console(self, block: Block) -> None:
        command, _, said = block.text.partition("\n")
        out = self._run(shlex.split(command.removeprefix("$ ")), 0, block.place)
        # How many candidates there are changes with every new primitive.
        assert _NUMBER.sub("0", out) == _NUMBER.sub("0", said), block.place

    def _run(self, words: list[str], code: int, place: str) -> str:
        assert words[0] == "headrace", place
        outcome = headrace(*words[1:], home=self._home)
        assert outcome.code == code, f"{place}: {outcome.out}{outcome.err}"
        return outcome.out

    def _json(self, block: Block) -> None:
        assert shape(self._answer) == shape(json.loads(block.text)), block.place


def commands(text: str) -> Iterator[str]:
    """The commands of a shell block; one whose quotes are open goes on in the next line."""
    command = ""
    for line in text.splitlines():
        command += line + "\n"
        if command.count("'") % 2 == 0 and command.strip():
            yield command.strip()
            command = ""
    assert not command.strip()


def request(words: list[str]) -> tuple[str, Any]:
    """(path, body) of a curl command."""
    (address,) = [word for word in words if word.startswith("localhost:8080")]
    body = words[words.index("-d") + 1] if "-d" in words else None
    assert body is None or "content-type: application/json" in words
    return address.removeprefix("localhost:8080"), None if body is None else json.loads(body)


#: Objects whose keys are data, and texts or lists whose content is.
_OPEN = ("metrics", "columns")


def shape(value: Any, name: str = "") -> Any:
    """What stays of an answer when its values go: fields, and the types that JSON tells apart."""
    if isinstance(value, Mapping):
        return "open" if name in _OPEN else {key: shape(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return "list"
    return "number" if isinstance(value, int | float) else type(value).__name__
