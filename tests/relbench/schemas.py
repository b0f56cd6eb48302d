"""The schemas of RelBench's data sets and tasks, for `stand_ins`: tables, columns, keys and tasks as published.

Source: Robinson et al., RelBench, NeurIPS 2024, and the package's declarations. Rows are invented.
"""

from __future__ import annotations

from typing import Any

from tests.relbench.stand_ins import MadeDataset, MadeTable, MadeTask

_KINDS = {
    "binary": "binary_classification", "regression": "regression", "multiclass": "multiclass_classification",
    "multilabel": "multilabel_classification",
}  # fmt: skip


def forecast(
    name: str, kind: str, entity: tuple[str, str], target: str, days: int, events: str, value: str,
    *, active: int | None = 90, time: str = "timestamp", evaluations: int = 1, remove: Any = (),
) -> MadeTask:  # fmt: skip
    """A task on entities with an event in the last `active` days (None: in all days).

    `events` selects (key, at, ...); the label is the aggregation `value` over its rows e in the period.
    """
    table, column = entity
    since = f"AND p.at > t.timestamp - INTERVAL '{active} days'" if active else ""
    sql = f"""
        WITH ev AS ({events}),
        asked AS (SELECT DISTINCT t.timestamp, p.key FROM timestamps t JOIN ev p ON p.at <= t.timestamp {since}
                  WHERE p.key IS NOT NULL)
        SELECT a.timestamp AS "{time}", a.key::BIGINT AS "{column}", {value} AS "{target}"
        FROM asked a LEFT JOIN ev e
          ON e.key = a.key AND e.at > a.timestamp AND e.at <= a.timestamp + INTERVAL '{{timedelta}}'
        GROUP BY 1, 2 HAVING "{target}" IS NOT NULL
    """
    facts: dict[str, Any] = {
        "kind": "forecast", "task_type": _KINDS[kind], "entity_table": table, "entity_col": column,
        "target_col": target, "time_col": time, "timedelta": f"{days} days", "num_eval_timestamps": evaluations,
    }  # fmt: skip
    return MadeTask(name=name, facts=facts | ({"remove_columns": remove} if remove else {}), sql=sql)


def autocomplete(name: str, kind: str, table: str, target: str, remove: Any = ()) -> MadeTask:
    """A task whose label is a column of the entity's own row."""
    facts = {"kind": "autocomplete", "task_type": _KINDS[kind], "entity_table": table, "target_col": target}
    return MadeTask(name=name, facts=facts | ({"remove_columns": [list(one) for one in remove]} if remove else {}))


def links(
    name: str, source: tuple[str, str], target: tuple[str, str], days: int, events: str, k: int,
    time: str = "timestamp",
) -> MadeTask:  # fmt: skip
    """A recommendation task; `events` selects (src, dst, at)."""
    sql = f"""
        WITH ev AS ({events})
        SELECT t.timestamp AS "{time}", e.src::BIGINT AS "{source[1]}",
               list_sort(LIST(DISTINCT e.dst::BIGINT)) AS "{target[1]}"
        FROM timestamps t JOIN ev e ON e.at > t.timestamp AND e.at <= t.timestamp + INTERVAL '{{timedelta}}'
        WHERE e.src IS NOT NULL AND e.dst IS NOT NULL GROUP BY 1, 2
    """
    facts = {
        "kind": "forecast", "task_type": "recommendation", "src_entity_table": source[0], "src_entity_col": source[1],
        "dst_entity_table": target[0], "dst_entity_col": target[1], "time_col": time, "timedelta": f"{days} days",
        "eval_k": k,
    }  # fmt: skip
    return MadeTask(name=name, facts=facts, sql=sql)


_F1_ROWS = {"raceId": "races", "driverId": "drivers", "constructorId": "constructors"}
F1 = MadeDataset(
    name="rel-f1", start="1995-01-01", val="2005-01-01", test="2010-01-01", end="2015-01-01", train_cutoffs=40,
    tables={
        "circuits": MadeTable(rows=40, scales=False, pkey="circuitId", columns={
            "circuitRef": "name", "name": "name", "location": "name", "country": "category", "lat": "float",
            "lng": "float", "alt": "number_or_null"}),
        "constructors": MadeTable(rows=30, scales=False, pkey="constructorId", columns={
            "constructorRef": "name", "name": "name", "nationality": "category"}),
        "drivers": MadeTable(rows=120, scales=False, pkey="driverId", columns={
            "driverRef": "name", "code": "category 30", "forename": "category 40", "surname": "name", "dob": "time",
            "nationality": "category"}),
        "races": MadeTable(rows=300, scales=False, pkey="raceId", time="date", fkeys={"circuitId": "circuits"},
                           columns={"year": "int 30", "round": "int 18", "name": "category 20", "time": "category 3"}),
        "results": MadeTable(rows=6000, pkey="resultId", time="date", fkeys=_F1_ROWS, time_of="raceId", columns={
            "number": "number_or_null", "grid": "int 20", "position": "number_or_null", "positionOrder": "int 20",
            "points": "float", "laps": "int 70", "milliseconds": "number_or_null", "fastestLap": "number_or_null",
            "rank": "number_or_null", "statusId": "int 3"}),
        "standings": MadeTable(rows=6000, pkey="driverStandingsId", time="date", time_of="raceId",
                               fkeys={"raceId": "races", "driverId": "drivers"},
                               columns={"points": "float", "position": "int 20", "wins": "int 3"}),
        "constructor_results": MadeTable(rows=3000, pkey="constructorResultsId", time="date", time_of="raceId",
                                         fkeys={"raceId": "races", "constructorId": "constructors"},
                                         columns={"points": "float"}),
        "constructor_standings": MadeTable(rows=3000, pkey="constructorStandingsId", time="date", time_of="raceId",
                                           fkeys={"raceId": "races", "constructorId": "constructors"},
                                           columns={"points": "float", "position": "int 10", "wins": "int 3"}),
        "qualifying": MadeTable(rows=4000, pkey="qualifyId", time="date", time_of="raceId", fkeys=_F1_ROWS,
                                columns={"number": "int 40", "position": "int 20"}),
    },
    tasks=(
        forecast("driver-position", "regression", ("drivers", "driverId"), "position", 60,
                 "SELECT driverId AS key, date AS at, positionOrder AS v FROM results", "AVG(e.v)",
                 active=365, time="date", evaluations=40),
        forecast("driver-dnf", "binary", ("drivers", "driverId"), "did_not_finish", 30,
                 "SELECT driverId AS key, date AS at, statusId AS v FROM results",
                 "MAX(CASE WHEN e.v <> 1 THEN 1 ELSE 0 END)", active=365, time="date", evaluations=40),
        forecast("driver-top3", "binary", ("drivers", "driverId"), "qualifying", 30,
                 "SELECT driverId AS key, date AS at, position AS v FROM qualifying",
                 "CASE WHEN MIN(e.v) <= 3 THEN 1 ELSE 0 END", active=365, time="date", evaluations=40),
        links("driver-circuit-compete", ("drivers", "driverId"), ("circuits", "circuitId"), 365,
              "SELECT r.driverId AS src, c.circuitId AS dst, r.date AS at FROM results r JOIN races c USING (raceId)",
              10, "date"),
        autocomplete("results-position", "regression", "results", "position",
                     [("results", name) for name in ("statusId", "positionOrder", "points", "laps", "rank")]),
        autocomplete("qualifying-position", "regression", "qualifying", "position"),
    ),
)  # fmt: skip

_POSTS = "SELECT OwnerUserId AS key, CreationDate AS at FROM posts"
STACK = MadeDataset(
    name="rel-stack", start="2015-01-01", val="2020-10-01", test="2021-01-01", end="2021-04-10",
    tables={
        "users": MadeTable(rows=1500, pkey="Id", time="CreationDate", columns={
            "AccountId": "number_or_null", "DisplayName": "name", "Location": "category 50", "ProfileImageUrl": "name",
            "WebsiteUrl": "name", "AboutMe": "text 12"}),
        "posts": MadeTable(rows=6000, pkey="Id", time="CreationDate", fkeys={"OwnerUserId": "users", "ParentId": "posts"},
                           columns={"PostTypeId": "int 2", "OwnerDisplayName": "name", "Title": "text 6",
                                    "Tags": "category 60", "ContentLicense": "category 3", "Body": "text 30"}),
        "comments": MadeTable(rows=8000, pkey="Id", time="CreationDate", fkeys={"UserId": "users", "PostId": "posts"},
                              columns={"Text": "text 15", "UserDisplayName": "name", "ContentLicense": "category 3"}),
        "badges": MadeTable(rows=6000, pkey="Id", time="Date", fkeys={"UserId": "users"},
                            columns={"Class": "int 3", "Name": "category 40", "TagBased": "bool"}),
        "postLinks": MadeTable(rows=1500, pkey="Id", time="CreationDate",
                               fkeys={"PostId": "posts", "RelatedPostId": "posts"}, columns={"LinkTypeId": "int 3"}),
        "postHistory": MadeTable(rows=9000, pkey="Id", time="CreationDate",
                                 fkeys={"PostId": "posts", "UserId": "users"},
                                 columns={"PostHistoryTypeId": "int 6", "RevisionGUID": "name", "Comment": "text 8",
                                          "Text": "text 30", "ContentLicense": "category 3"}),
        "votes": MadeTable(rows=12000, pkey="Id", time="CreationDate", fkeys={"PostId": "posts", "UserId": "users"},
                           columns={"VoteTypeId": "int 6"}),
    },
    tasks=(
        forecast("user-engagement", "binary", ("users", "OwnerUserId"), "contribution", 91,
                 "SELECT UserId AS key, CreationDate AS at FROM comments UNION ALL " + _POSTS,
                 "CASE WHEN COUNT(e.at) > 0 THEN 1 ELSE 0 END", active=None),
        forecast("user-badge", "binary", ("users", "UserId"), "WillGetBadge", 91,
                 "SELECT UserId AS key, Date AS at FROM badges", "CASE WHEN COUNT(e.at) > 0 THEN 1 ELSE 0 END",
                 active=None),
        forecast("post-votes", "regression", ("posts", "PostId"), "popularity", 91,
                 "SELECT PostId AS key, CreationDate AS at FROM votes", "COUNT(e.at)", active=None),
        links("user-post-comment", ("users", "UserId"), ("posts", "PostId"), 91,
              "SELECT UserId AS src, PostId AS dst, CreationDate AS at FROM comments", 100),
        links("post-post-related", ("posts", "PostId"), ("posts", "postLinksIdList"), 91,
              "SELECT PostId AS src, RelatedPostId AS dst, CreationDate AS at FROM postLinks", 100),
        autocomplete("badges-class", "multiclass", "badges", "Class", [("badges", "Name"), ("badges", "TagBased")]),
    ),
)  # fmt: skip

_STUDY = {"nct_id": "studies"}


def _of_study(rows: int, columns: dict[str, str], **fkeys: str) -> MadeTable:
    return MadeTable(rows=rows, pkey="id", time="date", time_of="nct_id", fkeys=_STUDY | fkeys, columns=columns)


TRIAL = MadeDataset(
    name="rel-trial", start="2000-01-01", val="2020-01-01", test="2021-01-01", end="2022-01-10", train_cutoffs=18,
    tables={
        "studies": MadeTable(rows=4000, pkey="nct_id", time="start_date", columns={
            "target_duration": "category 20", "study_type": "category 3", "acronym": "name", "baseline_population":
            "text 8", "brief_title": "text 8", "official_title": "text 14", "phase": "category 6", "enrollment":
            "number_or_null", "enrollment_type": "category 2", "source": "category 200", "limitations_and_caveats":
            "text 20", "number_of_arms": "number_or_null", "number_of_groups": "number_or_null", "has_dmc": "bool",
            "is_fda_regulated_drug": "bool", "biospec_retention": "category 3", "source_class": "category 6",
            "fdaaa801_violation": "bool", "plan_to_share_ipd": "category 3", "detailed_descriptions": "text 60",
            "brief_summaries": "text 30"}),
        "outcomes": _of_study(6000, {"outcome_type": "category 3", "title": "text 8", "description": "text 20",
                                     "time_frame": "category 60", "population": "text 8", "units": "category 50",
                                     "dispersion_type": "category 4", "param_type": "category 5"}),
        "outcome_analyses": _of_study(5000, {"non_inferiority_type": "category 4", "param_value": "float",
                                             "p_value_modifier": "category 3", "p_value": "float", "ci_percent":
                                             "number_or_null", "method": "category 10", "groups_description":
                                             "text 20"}, outcome_id="outcomes"),
        "drop_withdrawals": _of_study(6000, {"period": "category 8", "reason": "category 12", "count": "int 40"}),
        "reported_event_totals": _of_study(6000, {"event_type": "category 3", "classification": "category 3",
                                                  "subjects_affected": "number_or_null", "subjects_at_risk": "int 90"}),
        "designs": _of_study(4000, {"allocation": "category 3", "intervention_model": "category 5", "masking":
                                    "category 5", "subject_masked": "bool", "primary_purpose": "category 8"}),
        "eligibilities": _of_study(4000, {"sampling_method": "category 2", "gender": "category 3", "minimum_age":
                                          "category 30", "maximum_age": "category 30", "criteria": "text 60",
                                          "adult": "bool", "child": "bool", "older_adult": "bool"}),
        "interventions": MadeTable(rows=200, pkey="intervention_id", columns={"mesh_term": "name"}),
        "conditions": MadeTable(rows=200, pkey="condition_id", columns={"mesh_term": "name"}),
        "facilities": MadeTable(rows=800, pkey="facility_id", columns={"name": "name", "city": "category 90", "state":
                                "category 40", "zip": "name", "country": "category 20"}),
        "sponsors": MadeTable(rows=300, pkey="sponsor_id", columns={"name": "name", "agency_class": "category 6"}),
        "interventions_studies": _of_study(5000, {}, intervention_id="interventions"),
        "conditions_studies": _of_study(5000, {}, condition_id="conditions"),
        "facilities_studies": _of_study(9000, {}, facility_id="facilities"),
        "sponsors_studies": _of_study(6000, {"lead_or_collaborator": "category 2"}, sponsor_id="sponsors"),
    },
    tasks=(
        forecast("study-outcome", "binary", ("studies", "nct_id"), "outcome", 365,
                 "SELECT nct_id AS key, start_date AS at, NULL AS v FROM studies UNION ALL SELECT nct_id AS key, date + "
                 "INTERVAL '200 days' AS at, p_value AS v FROM outcome_analyses",
                 "CASE WHEN MIN(e.v) <= 0.05 THEN 1 WHEN COUNT(e.v) > 0 THEN 0 END"),
        forecast("study-adverse", "regression", ("studies", "nct_id"), "num_of_adverse_events", 365,
                 "SELECT nct_id AS key, start_date AS at, NULL AS v FROM studies UNION ALL SELECT nct_id AS key, date + "
                 "INTERVAL '200 days' AS at, subjects_affected AS v FROM reported_event_totals", "SUM(e.v)"),
        forecast("site-success", "regression", ("facilities", "facility_id"), "success_rate", 365,
                 "SELECT f.facility_id AS key, o.date AS at, CASE WHEN o.p_value <= 0.5 THEN 1 ELSE 0 END AS v FROM "
                 "outcome_analyses o JOIN facilities_studies f USING (nct_id)", "AVG(e.v)", active=None),
        links("condition-sponsor-run", ("conditions", "condition_id"), ("sponsors", "sponsor_id"), 365,
              "SELECT c.condition_id AS src, s.sponsor_id AS dst, c.date AS at FROM conditions_studies c JOIN "
              "sponsors_studies s USING (nct_id)", 10),
        links("site-sponsor-run", ("facilities", "facility_id"), ("sponsors", "sponsor_id"), 365,
              "SELECT c.facility_id AS src, s.sponsor_id AS dst, c.date AS at FROM facilities_studies c JOIN "
              "sponsors_studies s USING (nct_id)", 10),
        autocomplete("studies-enrollment", "regression", "studies", "enrollment"),
        autocomplete("studies-has_dmc", "binary", "studies", "has_dmc"),
        autocomplete("eligibilities-adult", "binary", "eligibilities", "adult",
                     [("eligibilities", name) for name in ("child", "older_adult", "minimum_age", "maximum_age",
                                                           "population", "criteria", "gender_description")]),
    ),
)  # fmt: skip
