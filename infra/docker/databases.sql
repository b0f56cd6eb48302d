-- One database for each of the two servers that need one. PostgreSQL's image runs this when its volume is new.
CREATE DATABASE prefect;
CREATE DATABASE mlflow;
