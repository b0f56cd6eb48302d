"""The rows of the windows train, tune, gate and test, as a user fixes them: by dates, or by a column."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from headrace.core.clock import to_us
from headrace.core.errors import DeclarationError
from headrace.schema.values import check_whole

#: The windows in time.
WINDOWS = ("train", "tune", "gate", "test")


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Fixed windows: where each begins, or which value of a column names its rows.

    Nothing that becomes known at or after the start of the test window takes part in training. `headrace evaluate`
    measures on the test window; leave out `test` for a model that is trained on all rows.

    Args:
        tune: start of the window that chooses a configuration (an instant in ISO form; a bare date is its midnight in
            UTC), or the value of `column` in its rows.
        gate: the same of the window that decides about promotion. None: the tune window decides too.
        test: the same of the window that `headrace evaluate` measures on. None: there is none.
        column: a column of the spine's table that names the window of each row. None: the windows are instants.
        train: the value of `column` in training rows. Rows with any other value than these four are not used.
        max_train_rows: number of rows of the train window, and of the tune window; of more rows, a random sample is
            used. Labels of all rows remain visible to features.

    Raises:
        DeclarationError: an instant cannot be read, instants are not in order, or two windows have one value.
    """

    tune: str
    gate: str | None = None
    test: str | None = None
    column: str | None = None
    train: str = "train"
    max_train_rows: int | None = None

    def __post_init__(self) -> None:
        if self.max_train_rows is not None:
            check_whole("max_train_rows", self.max_train_rows, where="splits", least=1)
        if self.column is not None:
            values = [self.train, *self.named.values()]
            if len(set(values)) < len(values):
                raise DeclarationError("two windows have the same value", where="splits", found=values)
            return
        starts = list(self.starts_us.values())
        if any(later <= earlier for earlier, later in itertools.pairwise(starts)):
            raise DeclarationError(
                "windows that are not in order", where="splits", found=[*self.named.values()], fix="tune < gate < test"
            )

    @property
    def named(self) -> dict[str, str]:
        """Window -> its start or value, of the windows after training that are declared, in order."""
        given = {"tune": self.tune, "gate": self.gate, "test": self.test}
        return {name: text for name, text in given.items() if text is not None}

    @property
    def starts_us(self) -> dict[str, int]:
        """Window -> its start (us), in order; empty where a column names the rows."""
        return {} if self.column is not None else {name: _instant(name, text) for name, text in self.named.items()}


def _instant(name: str, text: object) -> int:
    try:
        return to_us(str(text))
    except (ValueError, DeclarationError):
        raise DeclarationError(
            f"{name}={text!r} is no instant",
            where="splits",
            fix='write it as "2024-02-01" or "2024-02-01T06:00:00Z", or name a column that holds the windows',
        ) from None
