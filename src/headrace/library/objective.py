"""Wrap a function as the objective of a study, for `headrace.minimize`: sent to workers by value, known by its code.

A study resumes a journal only for the objective that wrote it. A function has no name that lasts, least of all in a
notebook, so its identity is its bytecode, with that of the functions inside it, its defaults, and the numbers and texts
that it closes over. Functions that it calls, and lists and frames, do not count.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import CodeType
from typing import Any

from headrace.core.errors import HeadraceError
from headrace.models.callback import TrialCallback
from headrace.models.space import Config

_PLAIN = (str, int, float, bool, bytes, type(None))


class FunctionObjective:
    """What a study calls.

    Args:
        function: Config -> loss, or a mapping with `loss` and further values to record.
    """

    def __init__(self, function: Callable[[Config], Any]) -> None:
        self.function = function

    def __call__(self, config: Config) -> Mapping[str, Any]:
        result = self.function(dict(config))
        if isinstance(result, Mapping):
            if "loss" not in result:
                raise HeadraceError("the objective returned no loss", where="minimize", found=list(result))
            return dict(result)
        try:
            return {"loss": float(result)}
        except (TypeError, ValueError):
            raise HeadraceError(
                f"the objective returned {result!r}, which is no loss",
                where="minimize",
                fix='return a number, or {"loss": number, ...}',
            ) from None

    def fingerprint(self) -> str:
        """The identity of the function's code."""
        return hashlib.sha256(repr(list(_parts(self.function))).encode()).hexdigest()

    def __getstate__(self) -> bytes:
        """For another process: by value, so that functions of notebooks and lambdas can be sent."""
        import cloudpickle

        pickled: bytes = cloudpickle.dumps(self.function)
        return pickled

    def __setstate__(self, state: bytes) -> None:
        import cloudpickle

        self.function = cloudpickle.loads(state)


class RungFunctionObjective(FunctionObjective):
    """The same for an object that reports intermediate losses, so that racing can stop its trials."""

    def evaluate_rungs(self, config: Config, callback: TrialCallback) -> Mapping[str, Any]:
        """See `headrace.search.study.evaluation.RungObjective`."""
        result: Mapping[str, Any] = self.function.evaluate_rungs(dict(config), callback)  # type: ignore[attr-defined]
        return result


def objective_of(function: Callable[[Config], Any]) -> FunctionObjective:
    """Return the objective of a function, or of an object with `evaluate_rungs`."""
    return RungFunctionObjective(function) if hasattr(function, "evaluate_rungs") else FunctionObjective(function)


@contextmanager
def without_main_module() -> Iterator[None]:
    """While workers start: they do not run the calling script again, which has sent its functions by value."""
    main = sys.modules["__main__"]
    kept: dict[str, Any] = {name: vars(main).pop(name) for name in ("__file__", "__spec__") if name in vars(main)}
    main.__spec__ = None
    try:
        yield
    finally:
        vars(main).update(kept)


def _parts(value: Any) -> Iterator[Any]:
    """What identifies a function: its code and the plain values that it holds."""
    if isinstance(value, _PLAIN):
        yield repr(value)
    elif isinstance(value, CodeType):
        yield value.co_name, value.co_code, value.co_names, value.co_varnames
        for constant in value.co_consts:
            yield from _parts(constant)
    elif isinstance(value, functools.partial):
        yield from _parts(
            (value.func, *value.args, *(item for pair in sorted(value.keywords.items()) for item in pair))
        )
    elif isinstance(value, tuple):
        for item in value:
            yield from _parts(item)
    elif isinstance(value, frozenset):
        yield sorted(map(repr, value))
    elif hasattr(value, "__code__"):
        cells = tuple(cell.cell_contents for cell in value.__closure__ or () if _is_set(cell))
        yield from _parts((value.__code__, value.__defaults__, cells, *(value.__kwdefaults__ or {}).values()))
    elif hasattr(value, "fingerprint") and callable(value.fingerprint):
        yield value.fingerprint()
    else:
        yield f"{type(value).__module__}.{type(value).__qualname__}"
        own_call = vars(type(value)).get("__call__")
        held = tuple(item for _, item in sorted(getattr(value, "__dict__", {}).items()) if isinstance(item, _PLAIN))
        yield from _parts((*((own_call,) if own_call is not None else ()), *held))


def _is_set(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:  # a name that is assigned later
        return False
    return True
