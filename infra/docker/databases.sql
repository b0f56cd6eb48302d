-- Databases of Prefect, of MLflow, of MLflow's users, and of Headrace (ledger, outbox, prediction log, Feast's registry).
-- PostgreSQL's image runs this when its volume is new.
CREATE DATABASE prefect;
CREATE DATABASE mlflow;
CREATE DATABASE mlflow_auth;
CREATE DATABASE headrace;
