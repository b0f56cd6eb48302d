"""Production, simulated: months of a feed through the same code in minutes. The feed itself is `headrace.lake.feed`."""
