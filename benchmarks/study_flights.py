"""What synthesis is worth on the flights, month by month: no history, history by hand, history synthesised.

    make study-flights [QUICK=1]

Three sets of features for the same rows, the same model (LightGBM, 150 trees, rate .08, 63 leaves, no tuning):

    no history    what the flight's own row tells, and its calendar
    hand-made     the same, the origin's weather, and the 26 means and counts that a person chose (below), on known time
    synthesised   what synthesis offers, cut to 120 by selection on January to April; nobody chose anything

in two protocols: trained once on January to April, and trained anew before each month on all that was known by then. A
row teaches a month only if its label was known when that month began; all are judged on the same flights of the month.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.results import Goal, Row, publish
from headrace.core.clock import BEFORE_ALL, DAY, HOUR, to_us
from headrace.evaluate.metrics import METRICS
from headrace.lake.store import Lake, Snapshot
from headrace.models.design import Design, Encoder
from headrace.problems.flights import problem
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, RowColumn, Transform
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.selection.select import select
from headrace.synthesis.spine.build import build_spine

COMMAND = "make study-flights"
PICTURE = Path(__file__).parent.parent / "docs" / "images" / "study-flights.png"
MONTHS = ("May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: Where each month begins, and where the last one ends (us).
STARTS = (*(to_us(f"2013-{month:02}-01") for month in range(5, 13)), to_us("2014-01-01"))
SETS = ("no history", "hand-made", "synthesised")
ROUNDS = 150
#: The row that `make bench-pipeline` holds its own figure against.
MAY = "AUC of May, trained once, synthesised"
#: Mean AUC over the months that the synthesised features must win against the hand-made ones.
WIN = 0.01

#: What else was tried for the monthly protocol, measured once by hand.
TRIED = """\
Trained monthly, the goal of .01 is not reached. These attempts do not reach it either (one run each, outside this
command, compared with the hand-made figures above). Selecting again each month on everything known by then, over six
months (without August and November), minus hand-made: +.006 with 120 features, +.007 with 200; the 120 selected once
have +.007 there. Trained once, mean AUC: 120 features of one selection .743, its first 200 .744; with twelve
lookbacks and decayed means in addition (2,233 candidates, selected on 60,000 rows) .740 with 120, .742 with 200;
selected by the reduction of loss on blocks of days that the model was not fitted on .743; ranked a second time among
those better than noise .744. The seed of the selection alone causes differences of this size: the mean of three seeds
is .744 (`make bench-selection`), and the figure above is that of one seed. Trained once, the expected gain is
therefore nearer to +.008 than to +.011.
"""

#: The model of both studies that ask what features are worth.
UNTUNED = {
    "objective": "binary",
    "learning_rate": 0.08,
    "num_leaves": 63,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 2,
    "verbosity": -1,
    "seed": 0,
}

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def _over(
    entity: str, keys: tuple[str, ...], column: str, primitive: str, lookback_us: int | None, kind: Any = "numeric"
) -> Aggregate:
    return Aggregate(
        entity=entity,
        table="flights",
        keys=keys,
        column=column,
        primitive=primitive,
        lookback_us=lookback_us,
        kind=kind,
    )


def by_hand() -> tuple[Definition, ...]:
    """The 26 history features that a person chose, each on known time."""
    chosen: list[Definition] = []
    for entity, keys, lookbacks in (
        ("origin", ("origin",), (2 * HOUR, 6 * HOUR)),
        ("carrier_origin", ("carrier", "origin"), (3 * HOUR, DAY)),
    ):
        for lookback_us in lookbacks:
            chosen += [_over(entity, keys, "dep_delay", name, lookback_us) for name in ("mean", "count")]
    for entity, keys, lookbacks in (
        ("route", ("origin", "dest"), (DAY, 7 * DAY)),
        ("carrier", ("carrier",), (7 * DAY,)),
        ("dest", ("dest",), (6 * HOUR, 3 * DAY)),
        ("flight_number", ("carrier", "flight"), (14 * DAY, 60 * DAY)),
    ):
        for lookback_us in lookbacks:
            chosen.append(_over(entity, keys, "arr_delay", "mean", lookback_us))
            chosen.append(_over(entity, keys, "label", "percent_true", lookback_us))
    chosen.append(_over("carrier", ("carrier",), "cancelled", "percent_true", DAY))
    chosen.append(_over("carrier", ("carrier",), "cancelled", "count", DAY))
    landed = _over("tailnum", ("tailnum",), "arr_delay", "last_time", None, "time")
    chosen.append(_over("tailnum", ("tailnum",), "arr_delay", "last", None))
    chosen.append(Transform(primitive="time_since", inputs=(landed,), kind="numeric"))
    return tuple(chosen)


def of_row(candidates: Sequence[Definition]) -> tuple[Definition, ...]:
    """What the row itself tells: its columns, and transforms of them alone."""

    def own(definition: Definition) -> bool:
        if isinstance(definition, Transform):
            return all(own(item) for item in definition.inputs)
        return isinstance(definition, RowColumn)

    return tuple(item for item in candidates if own(item))


def weather(candidates: Sequence[Definition]) -> tuple[Definition, ...]:
    """The last weather of the origin that is known."""
    return tuple(
        item
        for item in candidates
        if isinstance(item, Aggregate) and item.table == "weather" and item.primitive == "last"
    )


@dataclass(frozen=True, kw_only=True)
class World:
    """The year: rows [n] with their instants (us) and labels (NaN where it never came), and the tables behind them."""

    snapshot: Snapshot
    spine: pa.Table
    cutoff: Ints
    label: Floats
    label_known: Ints

    def taught_by(self, instant_us: int) -> Ints:
        """Rows whose label was known before an instant."""
        return np.flatnonzero(~np.isnan(self.label) & (self.label_known < instant_us) & (self.cutoff < instant_us))

    def judged_in(self, month: int) -> Ints:
        """Rows of a month whose label came at all."""
        inside = (self.cutoff >= STARTS[month]) & (self.cutoff < STARTS[month + 1])
        return np.flatnonzero(inside & ~np.isnan(self.label))


def the_year(folder: Path) -> World:
    """All of 2013 as a bootstrap load."""
    lake = Lake(folder, problem.name)
    for table in problem.entity_set.tables:
        lake.append(table, table.source.read(), arrival_us=BEFORE_ALL, bootstrap=True)
    snapshot = lake.snapshot()
    end_us = STARTS[-1] + 30 * DAY
    spine = build_spine(problem, snapshot, end_us=end_us, now_us=end_us, engine=LocalEngine())
    return World(
        snapshot=snapshot,
        spine=spine,
        cutoff=spine["cutoff"].to_numpy(),
        label=spine["label"].to_numpy(zero_copy_only=False).astype(np.float64),
        label_known=spine["label_known"].to_numpy(),
    )


def feature_sets(world: World) -> Mapping[str, tuple[Definition, ...]]:
    """The definitions of each set; selection looks at January to April only."""
    schemas = {table.name: world.snapshot.table(table.name).schema for table in problem.entity_set.tables}
    candidates = enumerate_definitions(problem, schemas)
    rows = world.taught_by(STARTS[0])
    early = feature_matrix(problem, candidates, world.spine.take(pa.array(rows)), world.snapshot, LocalEngine())
    kept = select(early, world.label[rows], candidates, max_features=problem.max_features, seed=0, threads=2).kept
    own = of_row(candidates)
    direct = tuple(item for item in candidates if isinstance(item, Direct))
    return {
        "no history": own,
        "hand-made": (*own, *direct, *weather(candidates), *by_hand()),
        "synthesised": kept,
    }


def auc_by_month(world: World, design: Design, *, months: Sequence[int], anew: bool) -> list[float]:
    """AUC on each month, of a model of the rows known before May, or before that month."""
    import lightgbm

    found: list[float] = []
    booster: Any = None
    for month in months:
        if booster is None or anew:
            rows = world.taught_by(STARTS[month if anew else 0])
            part = design.rows(rows)
            data = lightgbm.Dataset(part.X, label=world.label[rows], categorical_feature=list(part.categorical))
            booster = lightgbm.train(UNTUNED, data, num_boost_round=ROUNDS)
        judged = world.judged_in(month)
        found.append(METRICS["auc"].value(world.label[judged], booster.predict(design.rows(judged).X, num_threads=2)))
    return found


def picture(figures: Mapping[tuple[str, str], list[float]], names: Sequence[str]) -> None:
    """AUC by month, one line per set, one panel per protocol."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
    for panel, protocol in zip(panels, ("trained once", "trained monthly"), strict=True):
        for name in SETS:
            panel.plot(names, figures[protocol, name], marker="o", label=name)
        panel.set_title(f"{protocol} (flights of 2013)")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("AUC of `15 minutes late or more`")
    panels[0].legend()
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=90)
    plt.close(figure)


def main() -> None:
    quick = bool(os.environ.get("QUICK"))
    months = (0, 3, 7) if quick else tuple(range(8))
    names = [MONTHS[month] for month in months]
    console = Console()
    figures: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        world = the_year(Path(folder))
        for name, definitions in feature_sets(world).items():
            console.print(f"{name}: {len(definitions)} features of {world.spine.num_rows:,} flights")
            matrix = feature_matrix(problem, definitions, world.spine, world.snapshot, LocalEngine())
            # the lists of categories are those of the first training rows, as in production
            design = Encoder.fit(matrix.take(pa.array(world.taught_by(STARTS[0])))).encode(matrix)
            for protocol, anew in (("trained once", False), ("trained monthly", True)):
                figures[protocol, name] = auc_by_month(world, design, months=months, anew=anew)
                said = "  ".join(f"{n} {auc:.4f}" for n, auc in zip(names, figures[protocol, name], strict=True))
                console.print(f"  {protocol}: {said}")
    report(figures, names, f"{COMMAND} QUICK=1" if quick else COMMAND)
    if not quick:
        picture(figures, names)


def report(figures: Mapping[tuple[str, str], list[float]], names: Sequence[str], command: str) -> None:
    """Rows, and the table by month, into docs/benchmarks.md."""
    mean = {key: float(np.mean(values)) for key, values in figures.items()}
    rows: list[Row] = []
    for protocol in ("trained once", "trained monthly"):
        hand, made, bare = (mean[protocol, name] for name in ("hand-made", "synthesised", "no history"))
        rows.append(
            Row(
                metric=f"mean AUC, {protocol}, synthesised",
                value=made,
                unit="",
                peer="no history",
                peer_value=bare,
                command=command,
            )
        )
        rows.append(Row(metric=f"mean AUC, {protocol}, synthesised less hand-made", value=made - hand, unit="",
                        goal=Goal(op=">=", value=WIN), peer="hand-made", peer_value=hand, command=command))  # fmt: skip
    hand, made = (figures["trained once", name][0] for name in ("hand-made", "synthesised"))
    rows.append(
        Row(metric=MAY, value=made, unit="", goal=Goal(op=">=", value=hand), peer="hand-made", peer_value=hand,
            command=command)
    )  # fmt: skip
    lines = [("protocol", "features", *names, "mean"), tuple("---" for _ in range(len(names) + 3))]
    for (protocol, name), values in figures.items():
        lines.append((protocol, name, *(f"{value:.3f}" for value in values), f"{np.mean(values):.3f}"))
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    note = (
        "AUC of `arr_delay >= 15`, predicted two hours before departure, by month of 2013, with the same untuned"
        " LightGBM model of 150 trees. Hand-made: weather and 26 history features that a person chose. Synthesised: the"
        " 120 features that selection kept on January to April.\n\n![AUC by month](images/study-flights.png)\n\n"
        + f"{table}\n\n{TRIED}"
    )
    publish("study-flights", "Value of synthesised features on the flights", rows, note)


if __name__ == "__main__":
    main()
