"""Conformance suites for extensions, as classes for pytest. Nothing that runs in production imports this room.

An extension's author inherits a suite in three lines and hands it the extension:

    class TestMyFamily(FamilyConformance):
        @pytest.fixture
        def family(self):
            return MyFamily()

| kind of extension | suite |
|---|---|
| searcher | `headrace.testing.searchers.SearcherConformance` |
| model family | `headrace.testing.families.FamilyConformance` |
| drift test | `headrace.testing.drift_tests.DriftTestConformance` |
| alert channel | `headrace.testing.alert_channels.AlertChannelConformance` |
| engine | `headrace.testing.engines.EngineConformance` |
| aggregation primitive | `headrace.testing.primitives.AggregationConformance` |
| transform primitive | `headrace.testing.primitives.TransformConformance` |
| online store | `headrace.testing.online_stores.OnlineStoreConformance` |

Headrace's own members pass the same classes. pytest finds the room as a plugin (`headrace.testing.plugin`), which makes
it show the values of a failed assertion inside a suite.
"""
