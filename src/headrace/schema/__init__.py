"""What a user declares: tables, keys, relationships, a spine, a label, and the problem they make."""

from headrace.schema.costs import Costs
from headrace.schema.ensemble import Ensemble
from headrace.schema.entity import Entity
from headrace.schema.entity_set import EntitySet, Relationship
from headrace.schema.expressions import LabelExpression, TimeExpression
from headrace.schema.feed import Replay
from headrace.schema.horizon import HorizonLabel
from headrace.schema.monitoring import Monitoring
from headrace.schema.policy import Policy, Worth
from headrace.schema.problem import Problem
from headrace.schema.question import question_problem
from headrace.schema.racing import Racing
from headrace.schema.rollout import Rollout
from headrace.schema.spine import DUE, EachRow, Every, GivenRows, each_row, every
from headrace.schema.splits import Splits
from headrace.schema.table import Source, Table

__all__ = [
    "DUE",
    "Costs",
    "EachRow",
    "Ensemble",
    "Entity",
    "EntitySet",
    "Every",
    "GivenRows",
    "HorizonLabel",
    "LabelExpression",
    "Monitoring",
    "Policy",
    "Problem",
    "Racing",
    "Relationship",
    "Replay",
    "Rollout",
    "Source",
    "Splits",
    "Table",
    "TimeExpression",
    "Worth",
    "each_row",
    "every",
    "question_problem",
]
