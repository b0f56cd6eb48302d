"""The one typed settings object. No other code reads the environment."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, ByteSize, Field, SecretStr, TypeAdapter, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from headrace.core.errors import DeclarationError
from headrace.core.home import NO_ADDRESS, is_address
from headrace.core.hosts import allowed_hosts, is_loopback
from headrace.core.redact import redact
from headrace.core.secret_files import read_secret_files

#: Set before any dependency is imported: nothing that Headrace starts reports home, and it shares the machine.
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # MLflow's server may be the only one that reaches the bucket of its artifacts. By itself it sends clients to signed
    # addresses of the bucket, and where these do not answer a download takes minutes of retries.
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "FEAST_USAGE": "False",
    # Threads that wait give their core away: spinning, two LightGBM fits on busy cores take 3 to 6 times as long.
    "OMP_WAIT_POLICY": "PASSIVE",
    "EVIDENTLY_DISABLE_TELEMETRY": "1",
    "GIT_PYTHON_REFRESH": "quiet",
}

#: Settings whose value is never shown, not even when it is wrong.
_SECRET = (
    *("alert_url", "alert_block", "audit_key", "database_url", "key_pepper", "redis_url", "signing_password"),
    *("MLFLOW_TRACKING_PASSWORD", "PREFECT_API_AUTH_STRING"),
)


class Settings(BaseSettings):
    """Read from HEADRACE_* variables (or .env); MLFLOW_TRACKING_URI and PREFECT_API_URL are honoured as they are."""

    model_config = SettingsConfigDict(env_prefix="HEADRACE_", env_file=".env", env_ignore_empty=True, extra="ignore")

    home: Path = Path(".headrace")
    host: str = "127.0.0.1"
    allowed_hosts: str | None = Field(
        default=None, description="further host names that services answer to, such as a proxy's; comma-separated"
    )
    prefect_port: int = 4200
    mlflow_port: int = 5000
    api_port: int = 8080
    api_processes: int = Field(default=1, ge=1, description="processes of the prediction API, all on its port")
    evidently_port: int = 8000
    feast_port: int = 8888
    workers: int = Field(default=2, ge=1, description="processes for the search")
    search_folder: Path | None = Field(
        default=None, description="a folder that workers of other machines share, which then evaluate the trials"
    )
    max_memory: ByteSize | None = Field(
        default=None, gt=0, description="memory limit of the process of a run, such as 2GB"
    )
    spark_master: str = Field(default="local[2]", description='of the engine "spark", such as spark://host:7077')
    spark_remote: str | None = Field(
        default=None, description="a server of Spark Connect, such as sc://host:15002, in place of the master"
    )
    spark_folder: Path | None = Field(
        default=None, description="a folder that this machine and all workers of Spark read and write"
    )
    mlflow_tracking_uri: str | None = Field(
        default=None, validation_alias=AliasChoices("MLFLOW_TRACKING_URI", "HEADRACE_MLFLOW_TRACKING_URI")
    )
    prefect_api_url: str | None = Field(
        default=None, validation_alias=AliasChoices("PREFECT_API_URL", "HEADRACE_PREFECT_API_URL")
    )
    alert_url: SecretStr | None = Field(default=None, description="Apprise addresses, space-separated")
    alert_block: str = Field(
        default="secret/headrace-alert-url",
        pattern="^[a-z0-9-]+/[a-z0-9-]+$",
        description="the Prefect block, type/name, that flows read the addresses from where alert_url is not set",
    )
    alert_networks: str | None = Field(
        default=None, description="private networks that alerts may be sent to, such as 127.0.0.0/8; comma-separated"
    )
    profile: Literal["local", "production"] = "local"
    auth: Literal["open", "keys"] | None = Field(
        default=None, description="whether the prediction API demands keys; keys in production and beyond this machine"
    )
    keys_path: Path | None = Field(default=None, description="the file of API keys, if it is not that of the home")
    key_pepper: SecretStr | None = Field(default=None, description="keys the hashes of API keys")
    key_rate: str | None = Field(default=None, description="requests of one API key, as 100/s")
    address_rate: str | None = Field(default=None, description="requests of one address, as 600/min")
    audit_key: SecretStr | None = Field(default=None, description="keys the hashes of the audit log")
    signing_key: Path | None = Field(default=None, description="file of the private key that signs bundles")
    signing_password: SecretStr | None = Field(default=None, description="of the private key")
    verification_key: Path | None = Field(default=None, description="file of the public key that checks bundles")
    mlflow_username: str | None = Field(default=None, validation_alias="MLFLOW_TRACKING_USERNAME")
    mlflow_password: SecretStr | None = Field(default=None, validation_alias="MLFLOW_TRACKING_PASSWORD")
    prefect_api_auth: SecretStr | None = Field(default=None, validation_alias="PREFECT_API_AUTH_STRING")
    log_format: str = Field(default="text", pattern="^(text|json)$", description="form of log lines")
    log_level: str = Field(
        default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="lowest level of Headrace's log lines"
    )
    otlp_endpoint: str | None = Field(
        default=None,
        validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT", "HEADRACE_OTLP_ENDPOINT"),
        description="a collector of OpenTelemetry that traces are sent to; none are recorded without",
    )
    metrics_folder: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("PROMETHEUS_MULTIPROC_DIR", "HEADRACE_METRICS_FOLDER"),
        description="where several API processes on one port share their counters",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="postgresql://user:password@host:port/database of ledger, outbox, log and Feast's registry",
    )
    redis_url: SecretStr | None = Field(
        default=None,
        description="redis://:password@host:port/0 of the online store, where the home has no feature_store.yaml",
    )
    lake: str | None = Field(
        default=None,
        description="s3://bucket/folder, gs://, az:// or file:///folder of a lake that several machines share",
    )
    stale_policy: str = Field(default="default", pattern="^(default|abstain|fail)$")
    log_sync: str = Field(
        default="always",
        pattern="^(always|interval|database)$",
        description="when predictions are on disk: before their answer, within a tenth of a second, or in the database"
        " before their answer",
    )
    journal_limit: ByteSize = Field(
        default=ByteSize(4_000_000_000),
        ge=128_000_000,
        description="what predictions that wait for the prediction log may take of the disk; beyond, none are given",
    )

    @field_validator("home", mode="before")
    @classmethod
    def _home_is_a_folder(cls, given: str | Path) -> str | Path:
        if is_address(str(given)):
            raise ValueError(NO_ADDRESS)
        return given

    @property
    def root(self) -> Path:
        """The home folder, absolute."""
        return self.home.absolute()

    @property
    def hosts(self) -> tuple[str, ...]:
        """What the Host header of a request to a service may say, without the port."""
        return allowed_hosts(self.host, filter(None, map(str.strip, (self.allowed_hosts or "").split(","))))

    @property
    def alert_urls(self) -> tuple[str, ...]:
        """Where alerts go. Secrets: never print or keep one."""
        return tuple(self.alert_url.get_secret_value().split()) if self.alert_url else ()

    @property
    def keys_file(self) -> Path:
        """The file of API keys."""
        return (self.keys_path or self.root / "access" / "keys.json").absolute()

    def demands_keys(self, host: str) -> bool:
        """Whether the prediction API demands keys when it listens on a host."""
        if self.auth is not None:
            return self.auth == "keys"
        return self.profile == "production" or not is_loopback(host)

    @property
    def database_address(self) -> str:
        """Where the ledger, the outbox and the prediction log are; empty: in the home. A secret: it has a password."""
        return self.database_url.get_secret_value() if self.database_url else ""

    @property
    def redis_address(self) -> str:
        """Where the online store is; empty: in a file of the home. A secret: it has a password."""
        return self.redis_url.get_secret_value() if self.redis_url else ""

    @property
    def mlflow_store(self) -> str:
        """The embedded tracking store, used when no server is named or running."""
        return f"sqlite:///{self.root / 'mlflow' / 'mlflow.db'}"


def byte_size(text: str, *, where: str) -> int:
    """Bytes of `2GB`, `512MB`, `1.5GiB` or a plain number. Raises DeclarationError."""
    try:
        size = int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        size = 0
    if size <= 0:
        raise DeclarationError(f"{text!r} is no size", where=where, fix="write it as 2GB, 512MB or 1.5GiB")
    return size


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once; dependencies are made quiet on the way.

    Secrets in files (`core.secret_files`) are read first. Raises DeclarationError naming the first variable that cannot
    be read.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    read_secret_files(os.environ)
    try:
        return Settings()
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        name = str(wrong["loc"][0])
        variable = name if name.isupper() else f"HEADRACE_{name.upper()}"
        # Whoever mixes the two up puts an address with its secrets where the name of a block should be.
        found = [] if name in _SECRET else [redact(str(wrong["input"]))]
        raise DeclarationError(
            wrong["msg"], where=f"setting {variable}", found=found, fix="correct it, or unset it"
        ) from None
