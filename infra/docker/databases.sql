-- Databases of Prefect, of MLflow, and of MLflow's users. PostgreSQL's image runs this when its volume is new.
CREATE DATABASE prefect;
CREATE DATABASE mlflow;
CREATE DATABASE mlflow_auth;
