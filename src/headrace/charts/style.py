"""The style sheet of charts and of the pages that show them: colours for light and dark, by the reader's setting."""

#: Colours by role. All pairs of text and background that the pages use have a contrast of at least 4.5 to 1.
COLOURS = """
:root { color-scheme: light dark; --ground: #ffffff; --panel: #f4f7f9; --ink: #1c2733; --soft: #4d5b68;
  --line: #cfd8df; --link: #075a79; --accent: #0b6e8f; --on-accent: #ffffff; --good: #1f6b3f; --bad: #a5261b;
  --warn: #7a5200; --warn-ground: #fdf3da; --good-ground: #e6f4ec; --bad-ground: #fbe9e7; --mark: #c2571a; }
@media (prefers-color-scheme: dark) { :root { --ground: #12181e; --panel: #1b242c; --ink: #e6edf2; --soft: #a9b7c3;
  --line: #36434e; --link: #7cc7e3; --accent: #2f9fc4; --on-accent: #06171e; --good: #7fd3a2; --bad: #ff9d92;
  --warn: #f0c36a; --warn-ground: #33290f; --good-ground: #10291b; --bad-ground: #361512; --mark: #f0a15f; } }
"""

#: Classes that `charts.lines` and `charts.bars` write.
CHART_STYLE = """
.chart { margin: 0; min-width: 0; }
.chart svg { display: block; width: 100%; height: auto; max-width: 34rem; overflow: visible; }
.chart text { font: 12px system-ui, sans-serif; fill: var(--soft); }
.chart text.name { fill: var(--ink); }
.chart .grid { stroke: var(--line); stroke-width: 1; }
.chart .axis { stroke: var(--soft); stroke-width: 1; }
.chart .main { stroke: var(--accent); fill: var(--accent); }
.chart .other { stroke: var(--mark); fill: var(--mark); }
.chart .soft { stroke: var(--soft); fill: var(--soft); }
.chart path.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.chart path.band { stroke: none; fill-opacity: .18; }
.chart .dashed { stroke-dasharray: 5 4; }
.chart .point { stroke: var(--ground); stroke-width: 1; }
.chart .bar { stroke: none; }
.chart figcaption { font-weight: 600; margin-bottom: .3rem; }
.chart .key { font-weight: 400; font-size: .88rem; color: var(--soft); display: block; }
.chart .sign { display: inline-block; width: 1.4em; height: .7em; margin: 0 .35em 0 .8em; }
.chart .sign svg { width: 1.4em; height: .7em; display: inline; }
.chart details { margin-top: .3rem; font-size: .88rem; }
.chart summary { color: var(--link); cursor: pointer; }
.chart table.bars { width: 100%; }
.chart table.bars td { white-space: nowrap; overflow-wrap: normal; }
.chart td.drawn { width: 30%; min-width: 5rem; }
.chart td.drawn svg { width: 100%; height: .8rem; }
.scroll { overflow-x: auto; }
"""
