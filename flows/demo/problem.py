"""The flights of New York with fewer trials and features, so that a retrain of the demo takes a minute or two."""

from __future__ import annotations

from dataclasses import replace

from headrace.problems.flights import problem as flights

problem = replace(flights, trials=6, max_features=60)
