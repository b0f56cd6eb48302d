"""Evidence of one monitored window: drift scores with p-values, performance, data quality."""
