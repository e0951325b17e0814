"""The noop profile under control: an API that follows what it was told, and a worker that holds when it was told to."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints
from uuid import UUID

import msgspec
from psycopg_pool import ConnectionPool

from commands.catalogue import Entry
from commands.control import (
    CapabilitiesResource,
    ConfigResource,
    ControlHandler,
    FaultResource,
    HoldResource,
    ListenerStatistics,
    NetworkResource,
    ReleaseResource,
    ResetResource,
    StatisticsResource,
    StatusResource,
)
from commands.control_amphorae import AmphoraRecordsResource, ReportedAmphorae
from commands.deciding import Deciding
from commands.ports import Aggregates, Origin, Places
from commands.turns import Turns
from domain.availability_zone import AvailabilityZone, AvailabilityZoneProfile
from domain.control import Fault
from domain.errors import Invalid, NotFound
from domain.flavor import Flavor, FlavorProfile
from domain.quota import Quota
from infra.http import UNAVAILABLE, Routes
from infra.options import InvalidSettings, require_sound
from infra.prepared_network import prepared_network
from infra.settings import Place, Settings
from processes.actions import Action
from processes.ports import Claim
from processes.worker import LookAgain, Perform, Result

ROOT = "/__control__"
_LOOK_AGAIN_SECONDS = 0.05
_OURS = frozenset({"api", "api_settings"})
"""Sections that somebody who knows Octavia's may take for each other."""


@dataclass(frozen=True)
class Told:
    """What the API was told, as far as it is built for it.

    settings  attributes of infra.settings.Settings that count instead of the operator's
    """

    fault: Fault | None = None
    network: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def overrides(self, settings: Settings) -> Settings:
        return replace(settings, **_converted(self.settings))


Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class ControlledApi:
    """A WSGI application that is built anew when it was told something since the last request.

    stamp  a file whose time of change tells all processes of the API when to look: looking costs each request too much
    """

    def __init__(self, pool: ConnectionPool[Any], stamp: Path, build: Callable[[Told], Wsgi]) -> None:
        self._pool = pool
        self._stamp = stamp
        self._build = build
        self._told = Told()
        self._application = build(self._told)
        self._seen: int | None = None

    def __call__(self, env: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self._look()
        answer = self._application(env, start_response)
        if env["PATH_INFO"].startswith(ROOT):
            self._tell_the_others()
        return answer

    def _tell_the_others(self) -> None:
        """A time of our own: those that the file system gives come in steps of milliseconds."""
        now = time.time_ns()
        self._stamp.touch()
        os.utime(self._stamp, ns=(now, now))

    def _look(self) -> None:
        seen = self._stamp.stat().st_mtime_ns if self._stamp.exists() else 0
        if seen == self._seen:
            return
        try:
            told = self._read()
        except UNAVAILABLE:  # the application tells the client; the next request looks again
            return
        if told != self._told:
            self._application, self._told = self._build(told), told
        self._seen = seen

    def _read(self) -> Told:
        with self._pool.connection() as connection:
            rows = connection.execute(
                "SELECT kind, document FROM control WHERE kind <> 'hold'", prepare=True
            ).fetchall()
        documents = dict(rows)
        fault = documents.get("fault")
        return Told(
            fault=Fault(**fault) if fault else None,
            network=documents.get("network", {}),
            settings=documents.get("settings", {}),
        )


class Holding:
    """Keeps actions of the worker waiting while providers are held."""

    def __init__(self, pool: ConnectionPool[Any]) -> None:
        self._pool = pool

    def held(self, perform: Perform) -> Perform:
        def performed(action: Action, claim: Claim) -> Result:
            return LookAgain(_LOOK_AGAIN_SECONDS) if self._is_held() else perform(action, claim)

        return performed

    def _is_held(self) -> bool:
        with self._pool.connection() as connection:
            row = connection.execute(
                "SELECT document -> 'hold' FROM control WHERE kind = 'hold'", prepare=True
            ).fetchone()
        return row is not None and row[0] is True


def reported_amphorae(deciding: Deciding, places: Places, pool: ConnectionPool[Any]) -> ReportedAmphorae:
    everything = PostgresEverything(deciding.aggregates, pool)
    return ReportedAmphorae(deciding, ControlHandler(deciding.aggregates, deciding.turns, places, everything))


def control_routes(aggregates: Aggregates, places: Places, turns: Turns, pool: ConnectionPool[Any]) -> Routes:
    everything = PostgresEverything(aggregates, pool)
    handler = ControlHandler(aggregates, turns, places, everything)
    resources = {
        "reset": ResetResource(handler),
        "hold": HoldResource(handler),
        "release": ReleaseResource(handler),
        "status": StatusResource(handler),
        "stats": StatisticsResource(handler, everything),
        "fault": FaultResource(handler),
        "network": NetworkResource(handler, prepared_network),
        "config": ConfigResource(handler, overridden),
        "amphora": AmphoraRecordsResource(handler),
    }
    paths = {"amphorae" if name == "amphora" else name: resource for name, resource in resources.items()}
    return {
        ROOT: CapabilitiesResource(tuple(resources)),
        **{f"{ROOT}/{path}": resource for path, resource in paths.items()},
    }


# Settings by the contract's names


def overridden(group: str | None, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Attributes of Settings. Raises Invalid for an option that there is not, and a value that it cannot have."""
    found = {_attribute(group, option): value for option, value in options.items()}
    _require_possible(found)
    return found


def _attribute(group: str | None, option: str) -> str:
    for each in fields(Settings):
        place: Place | None = each.metadata.get("place")
        if place is not None and place.option == option and _is_in(group, place.section):
            return each.name
    raise Invalid(f"There is no option {option}" + (f" in [{group}]" if group else ""))


def _is_in(group: str | None, section: str) -> bool:
    return group is None or group == section or {group, section} <= _OURS


def _require_possible(settings: Mapping[str, Any]) -> None:
    """Held against a configuration that says nothing else."""
    try:
        probe = Settings(database_url="", state_directory=None, **_converted(settings))  # type: ignore[arg-type]
        require_sound(probe)
    except (msgspec.ValidationError, InvalidSettings, ValueError) as error:
        raise Invalid(str(error)) from None


def _converted(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Values of JSON in the types that Settings has; null is the operator's own again."""
    hints = get_type_hints(Settings)
    return {
        name: msgspec.convert(value, hints[name], strict=False) for name, value in settings.items() if value is not None
    }


# Contents


class PostgresEverything:
    """commands.control.Everything"""

    _BESIDES: tuple[tuple[type[Entry], str], ...] = (
        (Flavor, "flavors"),
        (FlavorProfile, "flavor_profiles"),
        (AvailabilityZone, "availability_zones"),
        (AvailabilityZoneProfile, "availability_zone_profiles"),
    )

    def __init__(self, aggregates: Aggregates, pool: ConnectionPool[Any]) -> None:
        self._aggregates = aggregates
        self._pool = pool

    def load_balancer_ids(self) -> Sequence[UUID]:
        return self._ids("load_balancers")

    def forget_all_else(self) -> None:
        for kind, table in self._BESIDES:
            for id in self._ids(table):
                entry = self._aggregates.load(kind, id)
                entry.delete()
                self._aggregates.save(entry, origin=Origin())
        for project_id in self._ids("quotas", "project_id"):
            self._forget_quota(str(project_id))
        with self._pool.connection() as connection:
            connection.execute("DELETE FROM statistics")
            connection.execute("DELETE FROM quota_uses")
            connection.execute("DELETE FROM quotas")
            connection.execute("DELETE FROM idempotency")
            connection.execute("DELETE FROM reported_amphorae")

    def _forget_quota(self, project_id: str) -> None:
        try:
            quota = self._aggregates.load(Quota, Quota.create_id(project_id))
        except NotFound:
            return
        quota.reset()
        self._aggregates.save(quota, origin=Origin())

    def _ids(self, table: str, column: str = "id") -> Sequence[Any]:
        with self._pool.connection() as connection:
            return [id for (id,) in connection.execute(f"SELECT {column} FROM {table}")]

    def add_statistics(self, listeners: Sequence[ListenerStatistics]) -> None:
        rows = [msgspec.to_builtins(each) for each in listeners]
        with self._pool.connection() as connection:
            connection.execute(_ADD_STATISTICS, (msgspec.json.encode(rows).decode(),))


_ADD_STATISTICS = """
INSERT INTO statistics AS s (listener_id, amphora_id, load_balancer_id, bytes_in, bytes_out, active_connections,
                             total_connections, request_errors)
SELECT x.id, coalesce(x.amphora_id, x.id), coalesce(l.load_balancer_id, '00000000-0000-0000-0000-000000000000'),
       x.bytes_in, x.bytes_out, x.active_connections, x.total_connections, x.request_errors
FROM jsonb_to_recordset(%s::jsonb) AS x(id uuid, amphora_id uuid, bytes_in bigint, bytes_out bigint,
     active_connections bigint, total_connections bigint, request_errors bigint)
LEFT JOIN listeners l ON l.id = x.id
ON CONFLICT (listener_id, amphora_id) DO UPDATE SET
    bytes_in = s.bytes_in + excluded.bytes_in, bytes_out = s.bytes_out + excluded.bytes_out,
    active_connections = excluded.active_connections,
    total_connections = s.total_connections + excluded.total_connections,
    request_errors = s.request_errors + excluded.request_errors
"""
