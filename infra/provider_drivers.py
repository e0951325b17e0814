"""The provider drivers that come with Tacitus, and under which names each profile enables them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from types import MappingProxyType
from typing import Any

from commands.providers import DriverFailure, ProviderDriver, Providers, UnsupportedAction, UnsupportedOption
from domain.control import Fault
from domain.health_monitor import HealthMonitor, HealthMonitorType
from domain.listener import Listener, ListenerProtocol
from domain.pool import Pool
from infra.settings import Profile

_LOCAL = {
    "amphora": "The Octavia Amphora driver.",
    "octavia": "Deprecated alias of the Octavia Amphora driver.",
}
_NOOP = {
    "amphora": "Amp driver.",
    "noop_driver": "NoOp driver.",
    "noop_driver-alt": "NoOp driver alt alisas.",  # the contract spells it so
    "octavia": "Octavia driver.",
}
ENABLED: Mapping[Profile, Mapping[str, str]] = MappingProxyType({Profile.LOCAL: _LOCAL, Profile.NOOP: _NOOP})
"""What each profile enables while the operator says nothing: name -> description."""

DEFAULT: Mapping[Profile, str] = MappingProxyType({Profile.LOCAL: "amphora", Profile.NOOP: "noop_driver"})


def providers_of(
    profile: Profile,
    *,
    enabled: Mapping[str, str] | None = None,
    default: str | None = None,
    fault: Fault | None = None,
) -> Providers:
    """The providers of a deployment.

    enabled  name -> description, None for the profile's own
    default  None for the profile's own
    fault    what those of the noop profile do wrong
    """
    known = ENABLED[profile]
    return Providers(
        known if enabled is None else enabled,
        DEFAULT[profile] if default is None else default,
        {name: _driver(profile, name, fault) for name in known},
    )


def _driver(profile: Profile, name: str, fault: Fault | None) -> ProviderDriver:
    if profile == Profile.NOOP:
        return NoopProviderDriver(keeps_amphorae=name in ENABLED[Profile.LOCAL], fault=fault)
    return AmphoraProviderDriver()


@dataclass(frozen=True, kw_only=True)
class NoopProviderDriver:
    """Accepts everything and does nothing, for developers of clients, unless it was told to fail."""

    keeps_amphorae: bool
    fault: Fault | None = None

    def ask(self, method: str, values: Sequence[object]) -> None:
        self._fail_in(method)

    def flavor_capabilities(self) -> Mapping[str, str]:
        self._fail_in("get_supported_flavor_metadata")
        if self.keeps_amphorae:
            return _FLAVOR_CAPABILITIES
        return {"amp_image_tag": "The glance image tag to use for this load balancer."}

    def zone_capabilities(self) -> Mapping[str, str]:
        self._fail_in("get_supported_availability_zone_metadata")
        if self.keeps_amphorae:
            return _ZONE_CAPABILITIES
        return {
            "compute_zone": "The compute availability zone to use for this loadbalancer.",
            "volume_zone": "The volume availability zone to use for this loadbalancer.",
        }

    def require_flavor_data(self, data: object) -> None:
        self._fail_in("validate_flavor")

    def require_zone_data(self, data: object) -> None:
        self._fail_in("validate_availability_zone")

    def _fail_in(self, method: str) -> None:
        fault = self.fault
        if fault is None or fault.method not in (None, method):
            return
        words = fault.user_fault_string
        match fault.error:
            case "NotImplementedError":
                raise UnsupportedAction(*([words] if words else []), provider=fault.provider)
            case "UnsupportedOptionError":
                raise UnsupportedOption(words or "A specified option is not supported.", provider=fault.provider)
            case _:
                raise DriverFailure(words or "An unknown driver error occurred.", provider=fault.provider)


_FLAVOR_CAPABILITIES = {
    "loadbalancer_topology": "SINGLE: one amphora for a load balancer. ACTIVE_STANDBY: two, of which one stands by.",
    "compute_flavor": "The id of the compute flavor that amphorae have.",
    "amp_image_tag": "The tag of the image that amphorae boot from.",
    "sriov_vip": "Whether the VIP has a virtual function of SR-IOV for its port.",
    "allow_member_sriov": "Whether members may ask for ports with a virtual function of SR-IOV.",
}
_ZONE_CAPABILITIES = {
    "compute_zone": "The compute availability zone of amphorae.",
    "volume_zone": "The volume availability zone of amphorae.",
    "management_network": "The id of the network on which amphorae are reached in this zone.",
    "valid_vip_networks": "The ids of the networks on which a VIP may be in this zone.",
}


class AmphoraProviderDriver:
    """Load balancers on amphorae. Refuses what HAProxy on an amphora, or our way to run it, cannot do."""

    keeps_amphorae = True

    def ask(self, method: str, values: Sequence[object]) -> None:
        """Nothing can be wrong with a deletion."""
        if method.endswith("_delete"):
            return
        for value in values:
            _require_supported(value)
        if method.startswith("l7policy_"):
            for value in values:
                _require_http(value)

    def flavor_capabilities(self) -> Mapping[str, str]:
        return _FLAVOR_CAPABILITIES

    def zone_capabilities(self) -> Mapping[str, str]:
        return _ZONE_CAPABILITIES

    def require_flavor_data(self, data: object) -> None:
        _require_shape(data, _FLAVOR_SHAPE)

    def require_zone_data(self, data: object) -> None:
        _require_shape(data, _ZONE_SHAPE)


# What amphorae do not do


@singledispatch
def _require_supported(value: object) -> None:
    """Raises UnsupportedOption."""


@_require_supported.register
def _(listener: Listener) -> None:
    if listener.protocol.is_connectionless:
        raise UnsupportedOption(f"{listener.protocol} listeners are not supported.")
    if listener.protocol == ListenerProtocol.TERMINATED_HTTPS:
        raise UnsupportedOption(f"{listener.protocol} listeners are not supported.")
    if listener.certificates:
        raise UnsupportedOption(f"{listener.protocol} listeners with certificates are not supported.")


@_require_supported.register
def _(pool: Pool) -> None:
    if pool.protocol.is_connectionless:
        raise UnsupportedOption(f"{pool.protocol} pools are not supported.")
    if pool.names_secrets:
        raise UnsupportedOption("Certificates between amphorae and members are not supported.")


@_require_supported.register
def _(monitor: HealthMonitor) -> None:
    if monitor.type in (HealthMonitorType.UDP_CONNECT, HealthMonitorType.SCTP):
        raise UnsupportedOption(f"{monitor.type} health monitors are not supported.")


_WITH_L7_POLICIES = (ListenerProtocol.HTTP, ListenerProtocol.TERMINATED_HTTPS)


def _require_http(value: object) -> None:
    if isinstance(value, Listener) and value.protocol not in _WITH_L7_POLICIES:
        raise UnsupportedOption(f"{value.protocol} protocol listeners do not support L7 policies.")


# The shape of flavor and zone data. The words are JSON Schema's, which clients know.

_Check = Callable[[Any], str | None]
"""Says what is wrong with a value."""


def _of_type(kind: type, word: str) -> _Check:
    return lambda value: None if isinstance(value, kind) else f"{value!r} is not of type '{word}'"


def _one_of(*choices: str) -> _Check:
    return lambda value: None if value in choices else f"{value!r} is not one of {list(choices)}"


_TEXT, _TRUTH, _LIST = _of_type(str, "string"), _of_type(bool, "boolean"), _of_type(list, "array")
_FLAVOR_SHAPE: Mapping[str, _Check] = {
    "loadbalancer_topology": _one_of("ACTIVE_STANDBY", "SINGLE"),
    "compute_flavor": _TEXT,
    "amp_image_tag": _TEXT,
    "sriov_vip": _TRUTH,
    "allow_member_sriov": _TRUTH,
}
_ZONE_SHAPE: Mapping[str, _Check] = {
    "compute_zone": _TEXT,
    "volume_zone": _TEXT,
    "management_network": _TEXT,
    "valid_vip_networks": _LIST,
}


def _require_shape(data: object, shape: Mapping[str, _Check]) -> None:
    """Raises UnsupportedOption."""
    if not isinstance(data, dict):
        raise UnsupportedOption(f"{data!r} is not of type 'object'")
    unknown = [key for key in data if key not in shape]
    if unknown:
        words = f"{', '.join(map(repr, unknown))} {'were' if len(unknown) > 1 else 'was'} unexpected"
        raise UnsupportedOption(f"Additional properties are not allowed ({words})")
    for key, value in data.items():
        wrong = shape[key](value)
        if wrong is not None:
            raise UnsupportedOption(f"{key} {wrong}")
