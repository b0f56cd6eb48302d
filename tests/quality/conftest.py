"""Great Expectations reports home unless it is told not to before its import."""

from __future__ import annotations

import os

from headrace.core.settings import QUIET

os.environ.update(QUIET)
