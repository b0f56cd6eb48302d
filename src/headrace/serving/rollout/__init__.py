"""The challenger of a rollout in a serving process: its loading test, its share of entities, its shadow predictions."""
