"""Headrace brings relational, time-stamped tables to a model in production and keeps it fresh.

Importing this package loads nothing heavy: each function below is imported at its first use.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

#: Function or class -> its module in the package. The types of all are in `__init__.pyi`.
_PUBLIC = {
    "Categorical": "models.space",
    "Choice": "models.space",
    "Float": "models.space",
    "Integer": "models.space",
    "champion": "library.champion",
    "compare": "library.compare",
    "load_model": "library.model",
    "minimize": "library.minimize",
    "run": "library.run",
    "synthesize": "library.synthesize",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    """Import a public function or class at its first use (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'headrace' has no attribute {name!r}")
    # By parts: a whole dotted name here would make every cached stage depend on the module (core.source_code).
    value = getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
