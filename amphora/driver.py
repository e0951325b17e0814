"""What the controller wants of an amphora: the Protocol, its errors, and a stand-in that remembers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol
from uuid import UUID

from amphora.wire import Stamp, stamp_of


class AmphoraError(Exception):
    """An amphora did not do what it was asked for: AmphoraUnreachable, AgentFault (both: try again),
    ConfigurationRefused, OutdatedConfiguration (both: do not).
    """


class AmphoraUnreachable(AmphoraError):
    """No answer, or none that could be trusted; what was asked for may have been done or not. To be tried again."""

    def __init__(self, amphora: "AmphoraAddress", reason: str) -> None:
        super().__init__(f"amphora {amphora.amphora_id} at {amphora.management_address} is not reachable: {reason}")
        self.reason = reason


class AgentFault(AmphoraError):
    """The agent answered that it could not do it: disk full, HAProxy does not come up, busy. To be tried again."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"the amphora agent answered {status}: {words}")
        self.status = status
        self.words = words


class ConfigurationRefused(AmphoraError):
    """This configuration cannot run on this amphora; sent again it would be refused again.

    words    HAProxy's own words, or the reasons below, one per line
    refused  listener id -> why its address cannot be bound; empty when HAProxy refused the file as a whole
    """

    def __init__(self, words: str, refused: Mapping[UUID, str] | None = None) -> None:
        super().__init__(words)
        self.words = words
        self.refused: Mapping[UUID, str] = dict(refused or {})


class OutdatedConfiguration(AmphoraError):
    """The amphora holds a newer revision than the one offered: somebody else was faster, there is nothing to do."""


@dataclass(frozen=True)
class AmphoraAddress:
    """Which amphora, and where its agent listens: an IPv4 or IPv6 address, without port."""

    amphora_id: UUID
    management_address: str


@dataclass(frozen=True)
class AgentInfo:
    """boot_id: new with each start of the agent; None for agents other than ours."""

    api_version: str
    haproxy_version: str
    boot_id: UUID | None
    hostname: str


@dataclass(frozen=True)
class HostRoute:
    destination: str  # CIDR
    nexthop: str


@dataclass(frozen=True, kw_only=True)
class VipPlug:
    """A VIP and the port that carries it.

    subnet_cidr  of the VIP's subnet; gateway may be missing
    mac_address  of the port, by which the amphora finds the interface
    vrrp_ip      the port's own address
    mtu          of the network, bytes
    """

    vip_address: str
    subnet_cidr: str
    mac_address: str
    gateway: str | None = None
    vrrp_ip: str | None = None
    mtu: int | None = None
    host_routes: tuple[HostRoute, ...] = ()


class AmphoraDriver(Protocol):
    """Talks to the agents of amphorae. Every call may raise AmphoraUnreachable or AgentFault and is safe to repeat.

    Source: docs/amphora-api.md.
    """

    def info(self, amphora: AmphoraAddress) -> AgentInfo:
        """Who answers there: GET /1.0/info."""
        ...

    def plug_vip(self, amphora: AmphoraAddress, plug: VipPlug) -> None:
        """Give the amphora its VIP; plugged already is fine: POST /1.0/plug/vip/{vip}."""
        ...

    def check_configuration(self, amphora: AmphoraAddress, load_balancer_id: UUID, haproxy_cfg: str) -> None:
        """Find out whether the amphora would take it, without effect: PUT /1.0/tacitus/{load balancer}/check.

        Raises ConfigurationRefused.
        """
        ...

    def load_configuration(
        self, amphora: AmphoraAddress, load_balancer_id: UUID, haproxy_cfg: str, revision: int
    ) -> str:
        """Make HAProxy run it; returns once it does, with the sha256 of the file in hexadecimal.

        haproxy_cfg  complete haproxy.cfg, UTF-8, at most 1 MiB; a first line (`amphora.wire.Stamp`) names `revision`
        revision     the load balancer's revision it was rendered from; our agent refuses older ones

        Raises ConfigurationRefused, OutdatedConfiguration.
        PUT /1.0/loadbalancer/{amphora}/{load balancer}/haproxy, then PUT /1.0/loadbalancer/{load balancer}/reload.
        """
        ...

    def configuration(self, amphora: AmphoraAddress, load_balancer_id: UUID) -> str | None:
        """The file that the amphora holds, None when it has none: GET /1.0/loadbalancer/{load balancer}/haproxy."""
        ...

    def remove_configuration(self, amphora: AmphoraAddress, load_balancer_id: UUID) -> None:
        """End HAProxy and remove its files; gone already is fine: DELETE /1.0/listeners/{load balancer}."""
        ...

    def replace_certificate(self, amphora: AmphoraAddress, pem: str) -> None:
        """Give the agent a new server certificate, followed by its key: PUT /1.0/certificate."""
        ...

    def update_agent_configuration(self, amphora: AmphoraAddress, conf: str) -> None:
        """Replace amphora-agent.conf; heartbeats follow it at once: PUT /1.0/config."""
        ...


def checksum(haproxy_cfg: str) -> str:
    """By which a file is told from another one: the sha256 of its UTF-8 bytes, in hexadecimal."""
    return sha256(haproxy_cfg.encode()).hexdigest()


def _are_of_different_logs(held: Stamp | None, offered: Stamp | None) -> bool:
    return held is not None and offered is not None and held.log_id != offered.log_id


def require_stamp(haproxy_cfg: str, revision: int) -> None:
    """Raises ValueError when the first line names another revision than the one that will be confirmed."""
    stamp = stamp_of(haproxy_cfg)
    if stamp is not None and stamp.revision != revision:
        raise ValueError(f"rendered from revision {stamp.revision}, yet said to be revision {revision}")


Refusal = Callable[[AmphoraAddress, str], ConfigurationRefused | None]


def refuses_nothing(amphora: AmphoraAddress, haproxy_cfg: str) -> ConfigurationRefused | None:
    """Takes every configuration."""
    return None


@dataclass
class NoopAmphoraDriver:
    """An AmphoraDriver that remembers what it was told, for tests of decisions.

    configurations  (amphora, load balancer) -> (revision, file)
    unreachable     amphorae that do not answer
    refuses         says why an amphora refuses a file; None when it takes it
    calls           (method, amphora) in order, also those that failed
    """

    configurations: dict[tuple[UUID, UUID], tuple[int, str]] = field(default_factory=dict)
    vips: dict[UUID, VipPlug] = field(default_factory=dict)
    certificates: dict[UUID, str] = field(default_factory=dict)
    agent_configurations: dict[UUID, str] = field(default_factory=dict)
    unreachable: set[UUID] = field(default_factory=set)
    refuses: Refusal = refuses_nothing
    calls: list[tuple[str, UUID]] = field(default_factory=list)

    def info(self, amphora: AmphoraAddress) -> AgentInfo:
        self._reach("info", amphora)
        return AgentInfo("1.0", "2.6.12", amphora.amphora_id, f"amphora-{amphora.amphora_id}")

    def plug_vip(self, amphora: AmphoraAddress, plug: VipPlug) -> None:
        self._reach("plug_vip", amphora)
        self.vips[amphora.amphora_id] = plug

    def check_configuration(self, amphora: AmphoraAddress, load_balancer_id: UUID, haproxy_cfg: str) -> None:
        self._reach("check_configuration", amphora)
        if refused := self.refuses(amphora, haproxy_cfg):
            raise refused

    def load_configuration(
        self, amphora: AmphoraAddress, load_balancer_id: UUID, haproxy_cfg: str, revision: int
    ) -> str:
        require_stamp(haproxy_cfg, revision)
        self._reach("load_configuration", amphora)
        held, file = self.configurations.get((amphora.amphora_id, load_balancer_id), (revision, ""))
        if held > revision and not _are_of_different_logs(stamp_of(file), stamp_of(haproxy_cfg)):
            raise OutdatedConfiguration(f"revision {revision} is older than revision {held}")
        if refused := self.refuses(amphora, haproxy_cfg):
            raise refused
        self.configurations[amphora.amphora_id, load_balancer_id] = (revision, haproxy_cfg)
        return checksum(haproxy_cfg)

    def configuration(self, amphora: AmphoraAddress, load_balancer_id: UUID) -> str | None:
        self._reach("configuration", amphora)
        _, file = self.configurations.get((amphora.amphora_id, load_balancer_id), (0, None))
        return file

    def remove_configuration(self, amphora: AmphoraAddress, load_balancer_id: UUID) -> None:
        self._reach("remove_configuration", amphora)
        self.configurations.pop((amphora.amphora_id, load_balancer_id), None)

    def replace_certificate(self, amphora: AmphoraAddress, pem: str) -> None:
        self._reach("replace_certificate", amphora)
        self.certificates[amphora.amphora_id] = pem

    def update_agent_configuration(self, amphora: AmphoraAddress, conf: str) -> None:
        self._reach("update_agent_configuration", amphora)
        self.agent_configurations[amphora.amphora_id] = conf

    def _reach(self, method: str, amphora: AmphoraAddress) -> None:
        self.calls.append((method, amphora.amphora_id))
        if amphora.amphora_id in self.unreachable:
            raise AmphoraUnreachable(amphora, "told so")
