"""The flights of New York, with a smaller search: a retrain of the demo takes a minute or two and is no less real."""

from __future__ import annotations

from dataclasses import replace

from headrace.problems.flights import problem as flights

problem = replace(flights, trials=6, max_features=60)
