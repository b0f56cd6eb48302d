"""`python -m tests.chaos.damage FOLDER [WORD ...]`: the cases of kinds whose names hold a word, as they come."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tests.chaos.damage.damages import DAMAGES
from tests.chaos.damage.kinds import KINDS, kinds_of
from tests.chaos.damage.matrix import Matrix, prepare_apart
from tests.chaos.damage.prepared import Prepared
from tests.chaos.damage.verdict import Cell


def main() -> None:
    folder, words = Path(sys.argv[1]), sys.argv[2:]
    prepared = Prepared(folder=folder) if (folder / "whole").exists() else prepare_apart(folder)
    odd = [path for path in prepared.files() if len(kinds_of(path)) != 1]
    for path in odd:
        print("NO KIND" if not kinds_of(path) else "TWO KINDS", path)
    if odd:
        return
    matrix, cells = Matrix(prepared), list[Cell]()
    for name, seen in matrix.undamaged.items():
        print("whole", name, seen.code, seen.trace[-3000:], seen.error, str(seen.result)[:300])
    for kind in KINDS:
        if words and not any(word in kind.name for word in words):
            continue
        for damage in DAMAGES:
            started = time.monotonic()
            for cell in matrix.cells(kind, damage):
                cells.append(cell)
                if cell.verdict != "unaffected":
                    print(f"{cell.kind} | {damage} | {cell.reader} | {cell.verdict} | {cell.detail}", flush=True)
            print(f"    {kind.name} {damage} {time.monotonic() - started:.1f} s", flush=True)
            (folder / "cells.json").write_text(json.dumps([asdict(cell) for cell in cells], indent=1))


if __name__ == "__main__":
    main()
