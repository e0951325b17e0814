"""The settings of one service: read once at start, passed in, never global."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path


class Profile(StrEnum):
    """What stands behind the drivers."""

    LOCAL = "local"
    """Amphorae are process groups on loopback addresses of this machine."""

    NOOP = "noop"
    """Drivers that complete at once and touch nothing, for developers of clients."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that an operator can set.

    database_url         PostgreSQL, as psycopg takes it
    state_directory      secrets, the embedded database and the amphorae of the local profile
    api_host, api_port   where the API answers
    api_workers          processes that serve it
    worker_threads       actions carried out at the same time
    heartbeat_port       UDP on api_host
    heartbeat_interval   seconds between the heartbeats of an amphora
    heartbeat_timeout    seconds of silence after which an amphora is asked directly
    push_deadline        seconds until a change that no amphora confirmed is shown as ERROR
    build_deadline       seconds for an amphora to come into service
    delete_deadline      seconds for a deletion
    amphora_maxconn      connections of a listener without a limit of its own
    """

    profile: Profile = Profile.LOCAL
    database_url: str
    state_directory: Path
    api_host: str = "127.0.0.1"
    api_port: int = 9876
    api_workers: int = 2
    worker_threads: int = 8
    heartbeat_port: int = 5555
    heartbeat_interval: float = 1.0
    heartbeat_timeout: float = 4.0
    push_deadline: float = 60.0
    build_deadline: float = 600.0
    delete_deadline: float = 300.0
    amphora_maxconn: int = 2_000
    allow_ping_health_monitors: bool = True
    pagination_max_limit: int = 1_000
    reserved_ips: tuple[str, ...] = ("169.254.169.254",)

    @property
    def trust_directory(self) -> Path:
        """The service's own secrets, readable by nobody else."""
        return self.state_directory / "trust"

    def to_json(self) -> str:
        return json.dumps({name: str(v) if isinstance(v, Path) else v for name, v in asdict(self).items()}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        said: Mapping[str, object] = json.loads(text)
        fields = {
            **said,
            "profile": Profile(str(said["profile"])),
            "state_directory": Path(str(said["state_directory"])),
            "reserved_ips": tuple(said.get("reserved_ips", ())),  # type: ignore[arg-type]
        }
        return cls(**fields)  # type: ignore[arg-type]
