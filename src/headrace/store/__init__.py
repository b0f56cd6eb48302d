"""The feature store: Feast around Headrace's definitions, computed on read and served from one small database.

Feast keeps the registry (entities, views, services, intervals) and is the interface for people and tools. Headrace
implements three of its extension points, because Feast's own parts are too slow or lose rows:

  offline  history is never stored: `offline` computes every value at the tick of its cutoff, from the lake
  compute  `compute` hands a whole view at a tick to the online store, as one table in one transaction
  online   `embedded` keeps one row per key in SQLite (`rows`), with the tick it was written at beside it

`published` is the list of what is in the store, and `online` reads it without importing Feast (4.6 s): the data plane
starts fast, and a new service is seen at the next read. Import `publish` and `training` where they are used, not above.
"""
