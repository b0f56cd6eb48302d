"""Feast's objects for everything that Headrace has published, so that Feast's own commands see the same store.

Features are synthesised, not written here: `headrace run` publishes them. Before the first run the list is empty.
"""

import sys
from pathlib import Path

from headrace.core.settings import Settings
from headrace.store.objects import feast_objects
from headrace.store.published import all_published

CHECKOUT = Path(__file__).resolve().parent.parent
HOME = CHECKOUT / ".headrace"

state = CHECKOUT / Settings(_env_file=CHECKOUT / ".env").home
if state.resolve() != HOME.resolve():  # Feast would show, and apply, an empty store
    sys.exit(f"HEADRACE_HOME is {state}, feature_store.yaml names {HOME}: unset the one, or ln -s {state} {HOME}")

(HOME / "store").mkdir(parents=True, exist_ok=True)

# Feast looks for its objects among the names of this module.
for published in all_published(HOME):
    for item in feast_objects(published):
        globals()[f"{type(item).__name__}__{item.name}"] = item
