"""Feast's objects for everything that Headrace has published, so that Feast's own commands see the same store.

Features are synthesised, not written here: `headrace run` publishes them. Before the first run the list is empty.
"""

from pathlib import Path

from headrace.core.settings import Settings
from headrace.store.objects import feast_objects
from headrace.store.published import all_published

CHECKOUT = Path(__file__).resolve().parent.parent
HOME = CHECKOUT / Settings(_env_file=CHECKOUT / ".env").home

# Feast opens its registry before the store can refuse a yaml file that names another home than HEADRACE_HOME.
for home in (HOME, CHECKOUT / ".headrace"):
    (home / "store").mkdir(parents=True, exist_ok=True)

# Feast looks for its objects among the names of this module.
for published in all_published(HOME):
    for item in feast_objects(published):
        globals()[f"{type(item).__name__}__{item.name}"] = item
