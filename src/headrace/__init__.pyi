"""The public functions of `import headrace`, for type checkers and editors."""

from headrace.library.compare import compare as compare
from headrace.library.minimize import minimize as minimize
from headrace.library.synthesize import synthesize as synthesize
from headrace.models.space import Categorical as Categorical
from headrace.models.space import Choice as Choice
from headrace.models.space import Float as Float
from headrace.models.space import Integer as Integer

__version__: str
__all__ = ["Categorical", "Choice", "Float", "Integer", "__version__", "compare", "minimize", "synthesize"]
