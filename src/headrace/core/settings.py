"""The one typed settings object. No other code reads the environment."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

#: Set before any dependency is imported: nothing that Headrace starts reports home.
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "GX_ANALYTICS_ENABLED": "false",
    "FEAST_USAGE": "False",
    "EVIDENTLY_DISABLE_TELEMETRY": "1",
    "GIT_PYTHON_REFRESH": "quiet",
}


class Settings(BaseSettings):
    """Read from HEADRACE_* variables (or .env); MLFLOW_TRACKING_URI and PREFECT_API_URL are honoured as they are."""

    model_config = SettingsConfigDict(env_prefix="HEADRACE_", env_file=".env", extra="ignore")

    home: Path = Path(".headrace")
    host: str = "127.0.0.1"
    prefect_port: int = 4200
    mlflow_port: int = 5000
    api_port: int = 8080
    workers: int = Field(default=2, ge=1, description="processes for the search")
    mlflow_tracking_uri: str | None = Field(
        default=None, validation_alias=AliasChoices("MLFLOW_TRACKING_URI", "HEADRACE_MLFLOW_TRACKING_URI")
    )
    prefect_api_url: str | None = Field(
        default=None, validation_alias=AliasChoices("PREFECT_API_URL", "HEADRACE_PREFECT_API_URL")
    )
    stale_policy: str = Field(default="default", pattern="^(default|abstain|fail)$")

    @property
    def root(self) -> Path:
        """The home folder, absolute."""
        return self.home.absolute()

    @property
    def mlflow_store(self) -> str:
        """The embedded tracking store, used when no server is named or running."""
        return f"sqlite:///{self.root / 'mlflow' / 'mlflow.db'}"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once; dependencies are made quiet on the way."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    return Settings()
