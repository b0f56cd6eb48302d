"""The public functions of `import headrace`, for type checkers and editors."""

from headrace.library.champion import champion as champion
from headrace.library.compare import compare as compare
from headrace.library.minimize import minimize as minimize
from headrace.library.model import load_model as load_model
from headrace.library.run import run as run
from headrace.library.synthesize import synthesize as synthesize
from headrace.models.space import Categorical as Categorical
from headrace.models.space import Choice as Choice
from headrace.models.space import Float as Float
from headrace.models.space import Integer as Integer

__version__: str
__all__ = [
    "Categorical",
    "Choice",
    "Float",
    "Integer",
    "__version__",
    "champion",
    "compare",
    "load_model",
    "minimize",
    "run",
    "synthesize",
]
