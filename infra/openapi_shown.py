"""What answers show, as JSON Schema: attributes from the classes that hold them, with what is shown beside those.

`fields` may leave any attribute of an object away, so none is required.
"""

from collections.abc import Mapping

from commands.schema import Schema, object_schema, or_null, value_schema, values_schema
from domain.availability_zone import AvailabilityZoneProfileSettings, AvailabilityZoneSettings
from domain.fields import OperatingStatus, ProvisioningStatus
from domain.flavor import FlavorProfileSettings, FlavorSettings
from domain.health_monitor import HealthMonitor, HealthMonitorType
from domain.l7_policy import L7Policy
from domain.l7_rule import L7Rule
from domain.listener import Listener
from domain.load_balancer_events import LoadBalancerSettings
from domain.member import Member, VnicType
from domain.pool import Pool
from domain.quota import NAMES
from domain.vip import AdditionalVip

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
ID: Schema = {"type": "string", "format": "uuid"}
TIME: Schema = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$",
    "description": "UTC, without saying so",
}


def ref(component: str) -> Schema:
    return {"$ref": f"#/components/schemas/{component}"}


def many(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def complete(**attributes: Schema) -> Schema:
    """An object with all of these attributes, always."""
    return object_schema(attributes, attributes)


_REFERENCES = many(ref("Reference"))
_STATUSES = {
    "provisioning_status": value_schema(ProvisioningStatus),
    "operating_status": value_schema(OperatingStatus),
}
_TIMES = {"created_at": TIME, "updated_at": or_null(TIME)}
_HEAD = {"id": ID, "project_id": TEXT, "tenant_id": TEXT, **_STATUSES, **_TIMES}

_LOAD_BALANCER = {
    **_HEAD,
    **values_schema(LoadBalancerSettings),
    "provider": TEXT,
    "flavor_id": or_null(ID),
    "availability_zone": or_null(TEXT),
    "vip_address": TEXT,
    **{f"vip_{name}_id": ID for name in ("port", "subnet", "network")},
    "vip_vnic_type": value_schema(VnicType),
    "additional_vips": many(value_schema(AdditionalVip)),
    "listeners": _REFERENCES,
    "pools": _REFERENCES,
}
_LISTENER = {
    **values_schema(Listener),
    **_HEAD,
    "allowed_cidrs": or_null(many(TEXT)),
    "loadbalancers": _REFERENCES,
    "l7policies": _REFERENCES,
}
_POOL = {
    **values_schema(Pool),
    **_HEAD,
    "healthmonitor_id": {**ID, "description": "Missing where there is none"},
    "loadbalancers": _REFERENCES,
    "listeners": _REFERENCES,
    "members": _REFERENCES,
}
_MEMBER = {**values_schema(Member, without=["pool_id"]), **_HEAD}
_HEALTH_MONITOR = {**values_schema(HealthMonitor, without=["pool_id"]), **_HEAD, "pools": _REFERENCES}
_L7_POLICY = {**values_schema(L7Policy), **_HEAD, "rules": _REFERENCES}
_L7_RULE = {**values_schema(L7Rule, without=["l7policy_id"]), **_HEAD}


def _without(shown: Mapping[str, Schema], *names: str) -> dict[str, Schema]:
    return {name: schema for name, schema in shown.items() if name not in names}


_POPULATED = {
    "PopulatedLoadBalancer": {
        **_LOAD_BALANCER,
        "listeners": many(ref("PopulatedListener")),
        "pools": many(ref("PopulatedPool")),
    },
    "PopulatedListener": {**_without(_LISTENER, "loadbalancers"), "l7policies": many(ref("PopulatedL7Policy"))},
    "PopulatedPool": {
        **_without(_POOL, "loadbalancers", "healthmonitor_id"),
        "members": many(ref("Member")),
        "healthmonitor": or_null(object_schema(_without(_HEALTH_MONITOR, "pools"))),
    },
    "PopulatedL7Policy": {**_L7_POLICY, "rules": many(ref("L7Rule"))},
}
"""As the answer to a creation shows a whole tree: with complete objects in the place of references."""

_LIMITS = {name: NUMBER for names in NAMES.values() for name in names}
_OF_AMPHORAE = ("compute_id", "lb_network_ip", "vrrp_ip", "ha_ip", "role", "vrrp_interface", "cached_zone")
_OPERATORS = {
    "Quota": {"project_id": TEXT, "tenant_id": TEXT, **_LIMITS, "usage": ref("QuotaUsage")},
    "QuotaUsage": _LIMITS,
    "Flavor": {"id": ID, **values_schema(FlavorSettings)},
    "FlavorProfile": {"id": ID, **values_schema(FlavorProfileSettings)},
    "AvailabilityZone": values_schema(AvailabilityZoneSettings),
    "AvailabilityZoneProfile": {"id": ID, **values_schema(AvailabilityZoneProfileSettings)},
    "Amphora": {
        "id": ID,
        "loadbalancer_id": or_null(ID),
        "status": TEXT,
        **{name: or_null(TEXT) for name in (*_OF_AMPHORAE, "image_id", "compute_flavor")},
        **{name: or_null(NUMBER) for name in ("vrrp_id", "vrrp_priority")},
        **{name: or_null(ID) for name in ("vrrp_port_id", "ha_port_id")},
        "cert_expiration": or_null(TIME),
        "cert_busy": {"type": "boolean"},
        **{name: or_null(TIME) for name in ("created_at", "updated_at")},
    },
    "Provider": {"name": TEXT, "description": TEXT},
    "Capability": {"name": TEXT, "description": TEXT},
}

_COUNTERS = {
    name: NUMBER for name in ("active_connections", "bytes_in", "bytes_out", "request_errors", "total_connections")
}
_NAMED = {"id": ID, "name": TEXT, **_STATUSES}
_STATUS_OF_MEMBER = complete(**_NAMED, address=TEXT, protocol_port=NUMBER)
_STATUS_OF_POOL = complete(
    **_NAMED,
    health_monitor=or_null(complete(**_NAMED, type=value_schema(HealthMonitorType))),
    members=many(_STATUS_OF_MEMBER),
)
_MEASURED = {
    "Statistics": complete(**_COUNTERS),
    "AmphoraStatistics": complete(id=ID, loadbalancer_id=ID, listener_id=ID, **_COUNTERS),
    "StatusTree": complete(**_NAMED, listeners=many(complete(**_NAMED, pools=many(_STATUS_OF_POOL)))),
}

_BESIDES = {
    "Reference": complete(id=ID),
    "Link": complete(rel={"enum": ["previous", "next"]}, href=TEXT),
    "Version": complete(
        id=TEXT,
        status={"enum": ["SUPPORTED", "CURRENT"]},
        updated={"type": "string", "format": "date-time"},
        links=many(complete(rel=TEXT, href=TEXT)),
    ),
    "DryRun": {
        **complete(
            verdict={"const": "accepted"},
            events=many(complete(type=TEXT, version=NUMBER, data={"type": "object"})),
        ),
        "description": "What would have happened",
    },
    "NetworkObject": {
        "type": "object",
        "properties": {"id": ID, "name": TEXT},
        "required": ["id", "name"],
        "description": "As Neutron shows it",
    },
}

_OBJECTS = {
    "LoadBalancer": _LOAD_BALANCER,
    "Listener": _LISTENER,
    "Pool": _POOL,
    "Member": _MEMBER,
    "HealthMonitor": _HEALTH_MONITOR,
    "L7Policy": _L7_POLICY,
    "L7Rule": _L7_RULE,
    **_POPULATED,
    **_OPERATORS,
}
SHOWN: Mapping[str, Schema] = {
    **{name: object_schema(attributes) for name, attributes in _OBJECTS.items()},
    **_MEASURED,
    **_BESIDES,
}
"""Component -> its schema."""
