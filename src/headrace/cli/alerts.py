"""`headrace alerts`: show alerts and decisions of monitoring, send undelivered alerts, acknowledge an alert."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from headrace.access.opened import alert_networks
from headrace.app.context import settings_of, wall_us
from headrace.app.output import print_json
from headrace.core.clock import iso
from headrace.core.errors import DeclarationError, UnavailableError
from headrace.monitor.alerts.delivery import check_addresses, deliver, queued_alerts
from headrace.monitor.outbox.outbox import Outbox
from headrace.monitor.policy.decision import Acknowledgement
from headrace.problems.catalogue import load_problem

_COLUMNS = ("at", "id", "decision", "reason", "outcome", "acknowledged")


def show_alerts(reference: str, home: Path | None, *, retry: bool, as_json: bool) -> None:
    """Print alerts and decisions as tables or JSON; with `retry`, send undelivered alerts first.

    Raises:
        UnavailableError: An alert could not be delivered.
        DeclarationError: No address is set.
    """
    settings = settings_of(home)
    outbox = Outbox(settings.root, load_problem(reference).name)
    failed: tuple[tuple[str, str], ...] = ()
    if retry:
        if not settings.alert_urls:
            raise DeclarationError(
                "no address to send alerts to", where="HEADRACE_ALERT_URL", fix="set it as .env.example shows"
            )
        check_addresses(settings.alert_urls)
        networks = alert_networks(settings)
        failed = deliver(outbox, settings.alert_urls, now_us=wall_us(), networks=networks, at_once=True).failed
    facts = gather(outbox)
    if as_json:
        print_json(facts)
    else:
        _print(facts, bool(settings.alert_urls))
    if failed:
        raise UnavailableError(
            f"{len(failed)} alert{'s' if len(failed) > 1 else ''} did not get through",
            where=outbox.problem,
            found=sorted({error for _, error in failed}),
            fix="they stay queued; try again with `headrace alerts --retry`",
        )


def acknowledge_alert(
    reference: str, decision_id: str, note: str, home: Path | None, *, who: str | None = None, as_json: bool = False
) -> None:
    """Record that a person has seen the alert of a decision; its causes are not reported again until they change.

    Args:
        reference: Name or file of the problem.
        decision_id: Id of the decision, or its first letters.
        note: What the person says about it.
        home: The home folder.
        who: Name of the person; the user of this process where None.
        as_json: Whether JSON is printed.
    """
    outbox = Outbox(settings_of(home).root, load_problem(reference).name)
    person = who or getpass.getuser()
    entry = outbox.acknowledge(decision_id, Acknowledgement(who=person, at_us=wall_us(), note=note))
    if as_json:
        facts = {
            "problem": outbox.problem,
            "decision": entry.decision.id,
            "causes": entry.decision.topics,
            "who": person,
        }
        print_json(facts)
        return
    causes = ", ".join(entry.decision.topics) or "no cause"
    print(f"{outbox.problem}: {person} acknowledged {entry.decision.id}: {causes}, not reported again until it changes")


def gather(outbox: Outbox) -> dict[str, Any]:
    """Return {problem, alerts, decisions}, oldest first; `at` is on the production clock, other times wall-clock."""
    return {
        "problem": outbox.problem,
        "alerts": [
            {
                "at": iso(item.alert.at_us),
                "title": item.alert.title,
                "level": item.alert.level,
                "state": item.state,
                "attempts": item.attempts,
                "last_error": item.last_error,
                "delivered": iso(item.delivered_us) if item.delivered_us is not None else None,
                "decision": item.alert.decision_id,
                "body": item.alert.body,
            }
            for item in queued_alerts(outbox)
        ],
        "decisions": [
            {
                "at": iso(entry.decision.end_us),
                "id": entry.decision.id,
                "kind": entry.decision.kind,
                "reason": entry.decision.reason,
                "champion": entry.decision.champion,
                "outcome": entry.outcome,
                "outcome_reason": entry.outcome_reason or None,
                "version": entry.version,
                "attempts": entry.attempts,
                "last_error": entry.last_error,
                "causes": list(entry.decision.topics),
                "acknowledged": _acknowledged(entry.acknowledged),
            }
            for entry in outbox.history()
        ],
    }


def _acknowledged(found: Acknowledgement | None) -> dict[str, str] | None:
    return None if found is None else {"who": found.who, "at": iso(found.at_us), "note": found.note}


def _print(facts: dict[str, Any], has_address: bool) -> None:
    console = Console()
    relevant = [item for item in facts["decisions"] if item["kind"] != "nothing"]
    if not relevant and not facts["alerts"]:
        console.print(f"{facts['problem']}: no alerts. {len(facts['decisions'])} windows were evaluated.")
        return
    decisions = Table(
        "at", "id", "decision", "reason", "outcome", "acknowledged", title=f"{facts['problem']}: decisions"
    )
    for item in relevant:
        outcome = item["outcome"] or ("open" if item["kind"] == "retrain" else "-")
        outcome_reason = f": {item['outcome_reason']}" if item["outcome_reason"] else ""
        seen = item["acknowledged"]
        seen_by = (
            "-" if seen is None else f"{seen['who']}, {seen['at']}" + (f": {seen['note']}" if seen["note"] else "")
        )
        decisions.add_row(item["at"], item["id"], item["kind"], item["reason"], outcome + outcome_reason, seen_by)
    console.print(decisions)
    alerts = Table("at", "alert", "state", "attempts", "last error", title=f"{facts['problem']}: alerts")
    for item in facts["alerts"]:
        alerts.add_row(item["at"], item["title"], item["state"], str(item["attempts"]), item["last_error"] or "-")
    console.print(alerts)
    undelivered = sum(item["delivered"] is None for item in facts["alerts"])
    if undelivered and not has_address:
        console.print(f"{undelivered} have no address: set HEADRACE_ALERT_URL (see .env.example).")
    elif undelivered:
        console.print(f"{undelivered} not delivered yet: `headrace alerts --retry` sends them now.")
