"""The fitted members of an ensemble: bags of the models of the folds, and models of all rows instead or beside them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headrace.automl.choosing import Candidate
from headrace.automl.ensemble.model import Member
from headrace.automl.families.protocol import Fit
from headrace.automl.prepare.block import Target
from headrace.automl.prepare.preparation import Preparation
from headrace.automl.trials.data import SearchData, encodable_label, training_rows
from headrace.automl.trials.fitting import FittedConfig, fit_config, split_table_config
from headrace.automl.trials.prepared import preparation_file, preparation_key

#: (key of a preparation, model that is fitted on its rows).
Part = tuple[str, FittedConfig]


@dataclass(frozen=True, kw_only=True)
class FittedMembers:
    """Members with their models.

    Attributes:
        members: The members.
        preparations: Fitted preparations by key.
        seconds: Number of a member's trial -> estimated time of its fit on all rows.
        notes: Lines for the user.
    """

    members: tuple[Member, ...]
    preparations: Mapping[str, Preparation]
    seconds: Mapping[int, float]
    notes: tuple[str, ...] = ()


def load_bags(folder: Path, chosen: Sequence[Candidate]) -> FittedMembers:
    """Load the models of the folds of the chosen configurations."""
    import joblib  # type: ignore[import-untyped]

    members, preparations, seconds = [], {}, {}
    for candidate in chosen:
        inputs = candidate.stacked.inputs if candidate.stacked else ()
        parts = candidate.stacked.parts if candidate.stacked else _stored_parts(folder, candidate)
        for key, _ in parts:
            if key not in preparations:
                preparations[key] = joblib.load(preparation_file(folder, key))
        members.append(
            Member(trial=candidate.number, config=candidate.config, weight=candidate.weight, parts=parts, inputs=inputs)
        )
        seconds[candidate.number] = candidate.seconds / max(len(parts) - 1, 1)
    return FittedMembers(members=tuple(members), preparations=preparations, seconds=seconds)


def _stored_parts(folder: Path, candidate: Candidate) -> tuple[Part, ...]:
    """Return the part of each fold."""
    import joblib

    fitted: list[FittedConfig] = joblib.load(folder / f"{candidate.file}.joblib")
    spec = split_table_config(candidate.config)[2]
    return tuple((preparation_key(number, spec), each) for number, each in enumerate(fitted))


@dataclass(frozen=True, kw_only=True)
class Refitting:
    """Fits members on all rows, the heaviest first, until the time is up.

    Attributes:
        data: The data of the search.
        seed: Of all random numbers.
        threads: Threads of a fit.
        until: Instant of `time.monotonic` at which it ends.
    """

    data: SearchData
    seed: int
    threads: int
    until: float

    def replace_bags(self, bags: FittedMembers) -> FittedMembers:
        """Replace bags by models of all rows; members without time for it keep the model of their last fold."""
        whole = {member.trial: (part, preparation) for member, part, preparation in self._fitted(bags)}
        members: list[Member] = []
        preparations: dict[str, Preparation] = {}
        for member in sorted(bags.members, key=lambda member: -member.weight):
            last = member.parts[-1]
            part, preparation = whole.get(member.trial, (last, bags.preparations[last[0]]))
            preparations.setdefault(part[0], preparation)
            members.append(Member(trial=member.trial, config=member.config, weight=member.weight, parts=(part,)))
        late = len(members) - len(whole)
        note = f"{late} of {len(members)} members keep the model of their last fold: no time to fit all rows"
        return FittedMembers(
            members=tuple(members), preparations=preparations, seconds=bags.seconds, notes=(note,) if late else ()
        )

    def add_to_bags(self, bags: FittedMembers) -> FittedMembers:
        """Add a model of all rows to each bag.

        Not where there is a second level, which learned from the predictions of bags.
        """
        if any(member.inputs for member in bags.members):
            return bags
        preparations, whole = dict(bags.preparations), dict[int, Part]()
        for member, part, preparation in self._fitted(bags):
            preparations.setdefault(part[0], preparation)
            whole[member.trial] = part
        late = len(bags.members) - len(whole)
        note = f"{late} of {len(bags.members)} members are bags alone: no time to fit all rows too"
        members = tuple(replace(member, whole=whole.get(member.trial)) for member in bags.members)
        return replace(bags, members=members, preparations=preparations, notes=(note,) if late else ())

    def _fitted(self, bags: FittedMembers) -> Iterator[tuple[Member, Part, Preparation]]:
        """Yield the members that were fitted in time, the heaviest first."""
        for member in sorted(bags.members, key=lambda member: -member.weight):
            if time.monotonic() + bags.seconds[member.trial] <= self.until and (found := self._fit(member)):
                yield member, *found

    def _fit(self, member: Member) -> tuple[Part, Preparation] | None:
        """Fit a member on all rows; None where its boosting was cut: with few rounds it is worse than a fold's.

        The number of rounds is that of the last fold.
        """
        data, spec = self.data, split_table_config(member.config)[2]
        rows = np.arange(len(data.label))
        preparation = Preparation(spec, data.cleaner, data.without_trend)
        target = Target(label=encodable_label(data, rows), task=data.task, seed=self.seed)
        design = preparation.fit_transform(data.frame, target)
        rounds = member.parts[-1][1].fitted.rounds
        fit = Fit(task=data.task, seed=self.seed, threads=self.threads, deadline=self.until, rounds=rounds)
        fitted = fit_config(member.config, training_rows(data, design, rows, member.config), None, fit)
        cut = rounds is not None and (fitted.fitted.rounds or 0) < rounds and time.monotonic() > self.until
        return None if cut else ((preparation_key("all", spec), fitted), preparation)
