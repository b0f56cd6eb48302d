"""Write a proposal as a problem file: Python with a comment on every guess."""

from __future__ import annotations

import json

from headrace.core.clock import DAY
from headrace.proposal.propose import Proposal, categorical_columns, ignored_columns
from headrace.proposal.reading import RawTable


def problem_file(proposal: Proposal, location: str) -> str:
    """Return the text of the problem file."""
    parts = [_head(proposal, location), *(_table(proposal, table) for table in proposal.tables), _problem(proposal)]
    return "\n".join(parts)


#: From so many rows on, the number of candidate features is limited to this.
_MANY_ROWS, _FEWER_CANDIDATES = 30_000, 250


def _text(value: str | None) -> str:
    """A text as Python source, in double quotes."""
    return json.dumps(value, ensure_ascii=False)


def _head(proposal: Proposal, location: str) -> str:
    imports = ["Entity"] * bool(proposal.entities) + ["EntitySet"] + ["Monitoring"] * bool(proposal.window)
    imports += ["Problem", *(["Relationship"] if _links(proposal) else []), "Table", "each_row"]
    text = f'"""Predict {proposal.target.label} for each row of {proposal.target.table}.\n\n'
    text += f"Proposed by `headrace init` from {location}. Read the comments: each is a guess about your data.\n"
    text += "".join(f"- {note}\n" for note in proposal.notes) + '"""\n\n'
    if any("FileSource(" in table.source for table in proposal.tables):
        text += "from headrace.problems.sources import FileSource\n"
    return text + f"from headrace.schema import {', '.join(imports)}\n"


def _table(proposal: Proposal, table: RawTable) -> str:
    times, key = proposal.times[table.name], proposal.keys[table.name]
    lines = [f"{table.name}_table = Table(", f'    name="{table.name}",']
    lines.append(f"    key={_text(key[0])}," if len(key) == 1 else f"    key=({', '.join(map(_text, key))}),")
    lines.append(f"    source={table.source},")
    if times.time is None:
        lines.append("    # no column tells when these rows happened: all values count as known for ever")
    else:
        lines.append(f"    time={_text(times.time)},")
        if times.resolution is not None:
            unit = {"1d": "day", "1mo": "month", "1y": "year"}[times.resolution]
            lines.append(f"    resolution={_text(times.resolution)},  # a row is known at the end of its {unit}")
        if proposal.tz is not None and (times.naive or times.resolution is not None):
            lines.append(f"    tz={_text(proposal.tz)},  # of times that are written without a zone")
    if texts := categorical_columns(table):
        roles = ", ".join(f'{_text(name)}: "categorical"' for name in texts)
        lines.append(f"    roles={{{roles}}},  # texts, most of which are numbers")
    known = _known_at(proposal, table)
    if known:
        lines.append("    known_at={")
        lines += [
            f"        {_text(column)}: {_text(at)},{f'  # {why}' if why else ''}" for column, (at, why) in known.items()
        ]
        lines.append("    },")
    return "\n".join([*lines, ")"]) + "\n"


def _known_at(proposal: Proposal, table: RawTable) -> dict[str, tuple[str, str]]:
    times, target = proposal.times[table.name], proposal.target
    known = {column: (at, "later than its row") for column, at in times.known_at.items()}
    if table.name != target.table:
        return known
    if proposal.target_known is not None:
        known[target.column] = (proposal.target_known, "a guess: when is the answer known?")
    at = known.get(target.column, (None, ""))[0]
    if at is not None:
        known |= {
            name: (at, f"{why}, so it is declared as known with the label")
            for name, why in proposal.leaking.items()
            if name not in known
        }
    return known


def _links(proposal: Proposal) -> list[str]:
    names = {table.name for table in proposal.tables}
    return [
        f'            Relationship("{parent}.{key}", "{child}.{column}"),'
        for parent, key, child, column in proposal.links
        if {parent, child} <= names
    ]


def _problem(proposal: Proposal) -> str:
    target, times = proposal.target, proposal.times[proposal.target.table]
    lines = ["problem = Problem(", f'    name="{proposal.name}",', "    entity_set=EntitySet("]
    lines += ["        tables=[", *(f"            {table.name}_table," for table in proposal.tables), "        ],"]
    if links := _links(proposal):
        lines += ["        relationships=[", *links, "        ],"]
    lines += ["    ),", f"    spine=each_row({_text(target.table)}, cutoff={_text(times.time)}),"]
    lines.append(f"    label={_text(target.label)},{f'  # {target.note}' if target.note else ''}")
    lines.append(f"    metric={_text(target.metric)},")
    if proposal.entities:
        lines.append("    # columns whose values come again: each gets features of its own history")
        listed = ", ".join(f"Entity(name={_text(name)}, join_keys=({_text(name)},))" for name in proposal.entities)
        lines.append(f"    entities=[{listed}],")
    cadence = times.cadence_us
    every = f"  # rows come about every {cadence / DAY:.3g} days" if cadence else ""
    lines.append(f"    lookbacks=[{', '.join(map(_text, proposal.lookbacks))}],{every}")
    lines.append(f"    tick={_text(proposal.tick)},")
    if proposal.window:
        window = proposal.window
        lines.append(
            f"    monitoring=Monitoring(window={_text(window)}, every={_text(window)}),  # no shorter than that"
        )
    ignored = {
        f"{table.name}.{column}": why
        for table in proposal.tables
        for column, why in ignored_columns(proposal, table).items()
    }
    if ignored:
        lines += ["    ignore=[", *(f"        {_text(name)},  # {why}" for name, why in ignored.items()), "    ],"]
    rows = next(table.rows.num_rows for table in proposal.tables if table.name == target.table)
    if rows > _MANY_ROWS:
        lines.append(
            f"    max_candidates={_FEWER_CANDIDATES},  # many rows: a first model in minutes; the default is 1000"
        )
    return "\n".join([*lines, "    trials=8,", ")"]) + "\n"
