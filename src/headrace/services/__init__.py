"""Start, watch and stop the local services: Prefect, MLflow, Evidently's pages, the prediction API and a worker."""
