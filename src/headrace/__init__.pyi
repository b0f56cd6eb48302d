"""The public functions of `import headrace`, for type checkers and editors."""

from headrace.library.synthesize import synthesize as synthesize

__version__: str
__all__ = ["__version__", "synthesize"]
