"""What somebody who tests a client makes the noop profile do, remembered like everything else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from eventsourcing.domain import Aggregate, event

CONTROL_ID = UUID("2c8c39e5-6b86-5f0a-9a35-1f5d0a1d7c01")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A provider fails so from now on.

    error     DriverError, NotImplementedError, UnsupportedOptionError or Exception
    provider  what the message calls the provider, None for its own name
    method    of octavia-lib's driver interface, None for all
    """

    error: str
    provider: str | None = None
    user_fault_string: str | None = None
    method: str | None = None


class Control(Aggregate):
    """Remembers what the noop profile was told. There is one, with a fixed id."""

    TOPIC = "Control"

    class Event(Aggregate.Event):
        """Anything that the noop profile was told."""

        TOPIC = "ControlEvent"

    class Created(Event, Aggregate.Created):
        TOPIC = "ControlSetUp"

    class HoldSet(Event):
        """hold: whether providers stop completing what they are asked for."""

        TOPIC = "ControlHoldSet"
        hold: bool

    class FaultSet(Event):
        TOPIC = "ControlFaultSet"
        fault: Fault | None

    class NetworkPrepared(Event):
        """document: what the noop network knows, in the words of whoever said it."""

        TOPIC = "ControlNetworkPrepared"
        document: Mapping[str, Any]

    class SettingsOverridden(Event):
        """settings: all that count instead of the operator's, by the names of infra/settings.py."""

        TOPIC = "ControlSettingsOverridden"
        settings: Mapping[str, Any]

    class StatisticsReported(Event):
        TOPIC = "ControlStatisticsReported"
        listeners: tuple[Mapping[str, Any], ...]

    class AmphoraReported(Event):
        """document: how an amphora is to look, by the API's names; a status of DELETED hides it."""

        TOPIC = "ControlAmphoraReported"
        amphora_id: UUID
        document: Mapping[str, Any]

    class Reset(Event):
        """Everything was forgotten; the load balancers' own histories say so too."""

        TOPIC = "ControlReset"

    @classmethod
    def set_up(cls) -> Self:
        return cls._create(cls.Created, id=CONTROL_ID)

    @event(Created)
    def __init__(self) -> None:
        self.settings: Mapping[str, Any] = {}
        self.amphorae: Mapping[UUID, Mapping[str, Any]] = {}

    @event(HoldSet)
    def set_hold(self, hold: bool) -> None:
        """Rows tell whoever completes."""

    @event(FaultSet)
    def set_fault(self, fault: Fault | None) -> None:
        """Rows tell the providers."""

    @event(NetworkPrepared)
    def prepare_network(self, document: Mapping[str, Any]) -> None:
        """Rows tell the network."""

    def override(self, settings: Mapping[str, Any]) -> None:
        """On top of what was overridden before; nothing takes all of it back."""
        self._settings_overridden(settings={**self.settings, **settings} if settings else {})

    @event(SettingsOverridden)
    def _settings_overridden(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings

    @event(StatisticsReported)
    def report_statistics(self, listeners: tuple[Mapping[str, Any], ...]) -> None:
        """Rows are counted elsewhere, as those of heartbeats are."""

    def report_amphora(self, amphora_id: UUID, said: Mapping[str, Any]) -> None:
        """On top of what was said of it before."""
        self._amphora_reported(amphora_id=amphora_id, document={**self.amphorae.get(amphora_id, {}), **said})

    @event(AmphoraReported)
    def _amphora_reported(self, amphora_id: UUID, document: Mapping[str, Any]) -> None:
        self.amphorae = {**self.amphorae, amphora_id: document}

    @event(Reset)
    def reset(self) -> None:
        self.settings, self.amphorae = {}, {}
