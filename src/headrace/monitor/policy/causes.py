"""Group the findings of a window by their common origin, and tell which causes a person has acknowledged, for alerts.

A broken column or table shows in every feature that is computed from it. Such findings have one cause, are reported in
one alert, and count as reported while the cause stays, whichever of its features drift next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from headrace.monitor.policy.decision import PastDecision, Window
from headrace.monitor.policy.finding import Finding

#: Fewest features that share an origin, and the share of all tested features of the origin that they must be.
_MIN_FEATURES, _MIN_SHARE = 2, 0.5
#: An acknowledged cause is reported again when its effect has grown by this factor.
_GROWTH = 2.0


def with_origins(
    findings: Sequence[Finding], sources: Mapping[str, Collection[str]], tested: Collection[str]
) -> tuple[Finding, ...]:
    """Set the origin of each drifted feature: greedily, the source from which most of the remaining ones come.

    A source is an origin where at least two of the drifted features, and half of all tested features that use it, come
    from it. Of two sources of equally many features, the one that fewer tested features use is chosen (a column before
    its table). Broken and drifted features are grouped apart.

    Args:
        findings: Findings of a window.
        sources: Feature -> the tables, columns (`planes.seats`) and entities that it is computed from.
        tested: Names of all features that were tested.
    """
    users = _users(sources, tested)
    origins: dict[str, str] = {}
    for broken in (True, False):
        remaining = {finding.name for finding in findings if finding.about == "feature" and finding.broken == broken}
        all_of_kind = frozenset(remaining)
        while True:
            candidates = [
                (len(names & remaining), -len(names), source)
                for source, names in users.items()
                if len(names & remaining) >= _MIN_FEATURES and len(names & all_of_kind) >= _MIN_SHARE * len(names)
            ]
            if not candidates:
                break
            source = max(candidates)[2]
            origins |= dict.fromkeys(users[source] & remaining, source)
            remaining -= users[source]
    return tuple(
        replace(finding, origin=origins[finding.name])
        if finding.about == "feature" and finding.name in origins
        else finding
        for finding in findings
    )


def _users(sources: Mapping[str, Collection[str]], tested: Collection[str]) -> dict[str, frozenset[str]]:
    """Return source -> the tested features that use it."""
    users: dict[str, set[str]] = {}
    for name in tested:
        for source in sources.get(name, ()):
            users.setdefault(source, set()).add(name)
    return {source: frozenset(names) for source, names in users.items()}


def broken_causes(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """Return the causes of broken columns, each with its reason for people."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.broken:
            groups.setdefault(finding.cause, []).append(finding)
    return [(cause, _broken_reason(group)) for cause, group in groups.items()]


def _broken_reason(group: Sequence[Finding]) -> str:
    first = group[0]
    if len(group) == 1:
        return f"{first.name} is broken: {first.note}"
    names = join_names([finding.name for finding in group])
    return f"{first.origin} is broken: {first.note} in {len(group)} features ({names})"


def acknowledged_topics(window: Window, past: Sequence[PastDecision]) -> frozenset[str]:
    """Return the topics that a person acknowledged for this champion and that have not changed since.

    An acknowledgement of a cause ends when a measured window does not have the cause, or when its largest effect is
    twice what it was in the acknowledged decision.

    Args:
        window: The window to decide.
        past: Earlier decisions, oldest first, with their acknowledgements.
    """
    own = [one for one in past if one.decision.champion == window.champion]
    present = _effects(window.findings)
    topics: set[str] = set()
    for position, one in enumerate(own):
        if one.acknowledged is None:
            continue
        since = [later.decision.drifted for later in own[position + 1 :] if later.decision.measured]
        before = _effects(one.decision.drifted)
        for topic in one.decision.topics:
            stayed = all(topic in _effects(findings) for findings in since)
            grew = present.get(topic, 0.0) > _GROWTH * before.get(topic, 0.0)
            if topic not in before or (stayed and not grew):  # a constraint, such as the cooldown, has no finding
                topics.add(topic)
    return frozenset(topics)


def _effects(findings: Iterable[Finding]) -> dict[str, float]:
    """Return cause -> its largest effect, in floors where a test has one; a broken column has none."""
    effects: dict[str, float] = {}
    for finding in findings:
        effect = 0.0 if finding.broken else finding.severity or finding.effect
        effects[finding.cause] = max(effects.get(finding.cause, 0.0), effect)
    return effects


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings by expected loss: measured drops, broken columns, then the loss that a shift is expected to bring.

    Where that loss is not known, or equal, the features of larger model importance x severity come first.
    """
    return sorted(
        findings,
        key=lambda finding: (
            finding.about != "quality",
            not finding.broken,
            -_certain_cost(finding),
            -(finding.weight or 0.0) * finding.severity,
            -finding.severity,
        ),
    )


def by_cause(findings: Iterable[Finding]) -> list[tuple[Finding, ...]]:
    """Group findings by cause, both the groups and the findings of each in the order of `ranked`."""
    groups: dict[str, list[Finding]] = {}
    for finding in ranked(findings):
        groups.setdefault(finding.cause, []).append(finding)
    return [tuple(group) for group in groups.values()]


def _certain_cost(finding: Finding) -> float:
    """Return the expected increase of loss where it is at least two standard errors, else 0."""
    cost = finding.cost or 0.0
    return cost if cost > 0 and cost >= 2 * finding.cost_error else 0.0


def join_names(names: Sequence[str], limit: int = 3) -> str:
    """Join the first names, and count the others."""
    n_more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {n_more} more" if n_more > 0 else "")
