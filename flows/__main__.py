"""The command `python -m headrace.flows`: run the main job as a Prefect flow, or register deployments.

`run` reports to the Prefect server that answers: the one that PREFECT_API_URL names, or the one of `headrace up`.
Without one it starts a server for the length of the run (`headrace.flows.temporary`).
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from typing import Annotated

import typer

from headrace.app.addresses import prefect_api
from headrace.app.output import print_json
from headrace.app.progress import print_log
from headrace.app.report import show_report
from headrace.core.entry import run_command
from headrace.core.settings import settings
from headrace.flows.deployments import for_references
from headrace.flows.prefect_settings import use_prefect_server
from headrace.flows.temporary import temporary_server
from headrace.flows.triggers import takeovers_for, triggers_for
from headrace.problems.catalogue import load_problem

app = typer.Typer(
    name="python -m headrace.flows",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Headrace's flows, run by Prefect.",
)


@app.command()
def run(
    problem: Annotated[str, typer.Argument(help="a built-in problem, or the path of a problem file")] = "flights",
    trials: Annotated[int | None, typer.Option(help="size of the search")] = None,
    seed: Annotated[int | None, typer.Option(help="seed of the search and the selection")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Run the main job now. Exit code 3: done, but a batch was quarantined; 130: interrupted."""
    load_problem(problem)  # a fault of the problem is shown before a server is started
    _use_server()
    from headrace.flows.pipeline import pipeline

    print_log()
    try:
        report = pipeline(problem=problem, trials=trials, seed=seed)
    except KeyboardInterrupt:
        print("headrace: interrupted. Run it again: finished stages are kept.", file=sys.stderr)
        raise typer.Exit(130) from None
    if as_json:
        print_json(report.as_json())
    else:
        show_report(report)
    if report.quarantined:
        raise typer.Exit(3)


@app.command()
def replay(
    problem: Annotated[str, typer.Argument(help="a built-in problem, or the path of a problem file")] = "flights",
    start: Annotated[str | None, typer.Option(help="instant of the first champion")] = None,
    until: Annotated[str | None, typer.Option(help="instant at which the replay ends")] = None,
    every: Annotated[str | None, typer.Option(help="time between two decisions")] = None,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="shuffle rows over time")] = False,
    seed: Annotated[int | None, typer.Option(help="random seed")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Replay months of production and compare policies of when to retrain."""
    load_problem(problem)
    _use_server()
    from headrace.cli.replay import show_result
    from headrace.flows.replay import replay as replay_flow

    print_log()
    result = replay_flow(problem=problem, start=start, until=until, every=every, shuffle=shuffle, seed=seed)
    if as_json:
        print_json(result.to_json())
    else:
        show_result(result)


def _use_server() -> None:
    """Report to the Prefect server that answers; without one, start one that ends with this process."""
    chosen = settings()
    use_prefect_server(chosen, prefect_api(chosen) or temporary_server(chosen, meanwhile=_import_stages))


def _import_stages() -> None:
    """Import what every run needs beside Prefect, which takes as long as the server's start."""
    for name in ("headrace.pipeline.walker", "mlflow.tracking"):
        importlib.import_module(name)


@app.command()
def deploy(
    problems: Annotated[list[str] | None, typer.Argument(help="built-in problems, or paths of problem files")] = None,
    without_schedules: Annotated[
        bool, typer.Option("--without-schedules", help="runs start by events and by hand only")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Register the deployments of problems (flights, if none is named) on the Prefect server that is up."""
    references = problems or ["flights"]
    deployments = for_references(references)
    if without_schedules:
        deployments = tuple(replace(one, cron=None, interval_s=None) for one in deployments)
    loaded = [load_problem(reference) for reference in references]
    triggers = [trigger for problem in loaded for trigger in triggers_for(problem)]
    takeovers = [takeover for problem in loaded for takeover in takeovers_for(problem)]
    use_prefect_server(settings(), prefect_api(settings()))
    from headrace.flows.automations import ensure_automations
    from headrace.flows.register import register

    register(deployments)
    ensure_automations([*triggers, *takeovers])
    if as_json:
        print_json(
            {
                "deployments": {f"{one.flow_name}/{one.name}": one.cron for one in deployments},
                "automations": {
                    **{one.name: {"event": one.event, "starts": one.deployment} for one in triggers},
                    **{one.name: {"event": "no heartbeat", "starts": one.deployment} for one in takeovers},
                },
            }
        )
        return
    for deployment in deployments:
        print(f"{deployment.flow_name}/{deployment.name}: {deployment.cron or 'no schedule'}")
    for trigger in triggers:
        print(f"{trigger.name}: {trigger.event} starts {trigger.deployment}")
    for takeover in takeovers:
        print(f"{takeover.name}: no heartbeat of a run for {takeover.silence} starts {takeover.deployment} again")


if __name__ == "__main__":
    run_command(app)
