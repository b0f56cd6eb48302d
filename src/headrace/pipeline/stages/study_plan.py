"""What the stage `search` searches: the space, the first configs, the searcher and the number of trials.

A retrain starts from the champion's study: its configuration, then the best of that study that differ, and then what a
surrogate of both studies proposes. It stays in the champion's family (of an ensemble: its members' families) and
spends `retrain_trials`. Trials that the space has no longer are left out, with a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.core.files import read_json
from headrace.models.families import DEFAULT_FAMILIES, split_config, study_space, warm_start
from headrace.models.space import Config, Space
from headrace.pipeline.stage import FinishedStage
from headrace.pipeline.stages.select import KNOWN, SelectOutput
from headrace.schema import Racing
from headrace.search.searchers import get_searcher
from headrace.search.searchers.protocol import Searcher
from headrace.search.space import config_errors
from headrace.search.transfer.known import KnownTrial, fitting
from headrace.search.transfer.portfolio import portfolio

#: First configs of a retrain that come from the champion's study; the other trials are the searcher's.
PORTFOLIO = 4
#: Searchers that a retrain replaces by one surrogate of both studies; any other proposes from its own study alone.
_WITH_SURROGATE = ("auto", "gp")


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """How a search begins, and how far it goes.

    Attributes:
        space: What is searched.
        first: Configs of the first trials.
        fallbacks: How many of the first are defaults, or the champion's own, that the incumbent must beat.
        retrain: Whether it starts from a champion.
        known: Trials of the champion's study that fit the space.
        note: What of that study is not used, and why; empty where all of it is.
    """

    space: Space
    first: tuple[Config, ...]
    fallbacks: int
    retrain: bool = False
    known: tuple[KnownTrial, ...] = ()
    note: str = ""

    def budget(self, trials: int, retrain_trials: int) -> int:
        """Return the number of trials. A retrain that knows no trials of the champion searches like the main job."""
        return min(trials, retrain_trials) if self.known else trials

    def racing(self, declared: Racing | None) -> Racing | None:
        """Return the racing rule: none in a short search, whose few complete trials are all close to the incumbent."""
        return None if self.known else declared

    def searcher(self, name: str) -> Searcher:
        """Build the searcher that proposes after the first configs; `name` is the one that the problem declares."""
        usual = get_searcher(name)(self.space)
        if not self.known or name not in _WITH_SURROGATE:
            return usual
        from headrace.search.transfer.searcher import TransferSearcher

        return TransferSearcher(self.space, self.known, usual)

    def origin(self, number: int) -> str:
        """Say where the config of a trial comes from, for people."""
        if number >= len(self.first):
            return "searched"
        return "champion's study" if self.known else "champion or default"


def study_plan(declared: Sequence[str], selected: FinishedStage[SelectOutput]) -> StudyPlan:
    """Plan the search of a run, or of a retrain.

    Args:
        declared: Families that the problem names; none for all built-in ones.
        selected: The finished selection; that of a retrain holds the champion's config and its study's trials.
    """
    output = selected.output
    if output.champion_config is None:
        families = tuple(declared) or DEFAULT_FAMILIES
        first = warm_start(families)
        return StudyPlan(space=study_space(families), first=first, fallbacks=len(first))
    config = dict(output.champion_config)
    families = output.champion_families or (split_config(config)[0].name,)
    space = study_space(families)
    recorded = [KnownTrial.from_json(item) for item in read_json(selected.path(KNOWN))] if output.known_trials else []
    known = fitting(space, recorded)
    first = portfolio(space, known, config, PORTFOLIO)
    note = _note(str(output.recipe_of), len(recorded), len(known))
    if known and first:
        # The champion's own config is the first where the space still has it.
        fallbacks = 1 if first[0] == config else len(first)
        return StudyPlan(space=space, first=first, fallbacks=fallbacks, retrain=True, known=known, note=note)
    defaults = warm_start(families)
    first = (*((config,) if not config_errors(space, config) and config not in defaults else ()), *defaults)
    return StudyPlan(space=space, first=first, fallbacks=len(first), retrain=True, note=note)


def _note(version: str, recorded: int, fit: int) -> str:
    if not recorded:
        return f"no trials of version {version} are known: the search starts from its configuration and the defaults"
    if fit < recorded:
        return f"{recorded - fit} of {recorded} trials known of version {version} are outside the space and not used"
    return ""
