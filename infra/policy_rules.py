"""The policy in code: every rule of the API with its default, and with the requests that it decides on.

Operators change rules in their policy file; `tacitus policy sample` prints these as a start.
"""

from collections.abc import Iterator, Sequence

from oslo_policy.policy import DeprecatedRule, DocumentedRuleDefault, Operation, RuleDefault

PREFIX = "os_load-balancer_api:"

READ, READ_GLOBAL, WRITE = "rule:load-balancer:read", "rule:load-balancer:read-global", "rule:load-balancer:write"
READ_QUOTA, READ_QUOTA_GLOBAL = "rule:load-balancer:read-quota", "rule:load-balancer:read-quota-global"
WRITE_QUOTA, ADMIN = "rule:load-balancer:write-quota", "rule:load-balancer:admin"

_LEGACY = {
    "reason": "Keystone's own roles reader, member and admin say the same, for every service alike.",
    "since": "W",
}


def _legacy(name: str, check: str) -> DeprecatedRule:
    """What counts besides while `[oslo_policy] enforce_new_defaults` is off."""
    return DeprecatedRule(name, check, deprecated_reason=_LEGACY["reason"], deprecated_since=_LEGACY["since"])


def _role(name: str, check: str, text: str, legacy: str | None = None) -> RuleDefault:
    return RuleDefault(name, check, text, _legacy(name, legacy) if legacy else None, scope_types=None)


ROLES: Sequence[RuleDefault] = (
    _role("project-member", "role:member and project_id:%(project_id)s", "A member of the project."),
    _role("project-reader", "role:reader and project_id:%(project_id)s", "Somebody who may look at the project."),
    _role("context_is_admin", "role:admin", "Who administers the cloud.", "role:admin or role:load-balancer_admin"),
    _role("service", "role:service", "Another service of the cloud."),
    _role("load-balancer:owner", "project_id:%(project_id)s", "Anybody of the project."),
    _role(
        "load-balancer:admin",
        "is_admin:True or role:admin",
        "Who administers load balancing.",
        "is_admin:True or role:admin or role:load-balancer_admin",
    ),
    _role(
        "load-balancer:global_observer",
        "role:admin",
        "Who may look at all projects.",
        "role:load-balancer_global_observer",
    ),
    _role("load-balancer:quota-admin", "role:admin", "Who sets quotas.", "role:load-balancer_quota_admin"),
    _role(
        "load-balancer:member_and_owner",
        "rule:project-member",
        "Who changes the load balancers of a project.",
        "role:load-balancer_member and rule:load-balancer:owner",
    ),
    _role(
        "load-balancer:observer_and_owner",
        "rule:project-reader",
        "Who looks at the load balancers of a project.",
        "role:load-balancer_observer and rule:load-balancer:owner",
    ),
    _role(
        "load-balancer:read",
        "rule:load-balancer:observer_and_owner or rule:load-balancer:global_observer"
        " or rule:load-balancer:member_and_owner or rule:load-balancer:admin",
        "Reading.",
    ),
    _role(
        "load-balancer:read-global",
        "rule:load-balancer:global_observer or rule:load-balancer:admin",
        "Reading what belongs to any project.",
    ),
    _role("load-balancer:write", "rule:load-balancer:member_and_owner or rule:load-balancer:admin", "Changing."),
    _role(
        "load-balancer:read-quota",
        "rule:load-balancer:observer_and_owner or rule:load-balancer:global_observer"
        " or rule:load-balancer:member_and_owner or rule:load-balancer:quota-admin or rule:load-balancer:admin",
        "Reading the quota of a project.",
    ),
    _role(
        "load-balancer:read-quota-global",
        "rule:load-balancer:global_observer or rule:load-balancer:quota-admin or rule:load-balancer:admin",
        "Reading the quotas of all projects.",
    ),
    _role(
        "load-balancer:write-quota", "rule:load-balancer:quota-admin or rule:load-balancer:admin", "Changing quotas."
    ),
)
"""Who is who. The rules below refer to these."""

_TREE = {
    "get_all": READ,
    "get_all-global": READ_GLOBAL,
    "post": WRITE,
    "get_one": READ,
    "put": WRITE,
    "delete": WRITE,
}
_BELOW = {name: check for name, check in _TREE.items() if name != "get_all-global"}
_CHOSEN = {"get_all": READ, "post": ADMIN, "get_one": READ, "put": ADMIN, "delete": ADMIN}
_PROFILE = {name: ADMIN for name in _CHOSEN}
_LBAAS, _OCTAVIA = "/v2/lbaas", "/v2/octavia"

_RESOURCES: Sequence[tuple[str, str, dict[str, str]]] = (
    (
        "loadbalancer",
        f"{_LBAAS}/loadbalancers",
        _TREE
        | {"post:vip_sg_ids": WRITE, "put:vip_sg_ids": WRITE, "get_stats": READ, "get_status": READ}
        | {"put_failover": ADMIN},
    ),
    ("listener", f"{_LBAAS}/listeners", _TREE | {"get_stats": READ}),
    ("pool", f"{_LBAAS}/pools", _TREE),
    ("member", f"{_LBAAS}/pools/{{pool_id}}/members", _BELOW | {"get_all": f"{READ} or rule:service"}),
    ("healthmonitor", f"{_LBAAS}/healthmonitors", _TREE),
    ("l7policy", f"{_LBAAS}/l7policies", _TREE),
    ("l7rule", f"{_LBAAS}/l7policies/{{l7policy_id}}/rules", _BELOW),
    (
        "quota",
        f"{_LBAAS}/quotas",
        {"get_all": READ_QUOTA, "get_all-global": READ_QUOTA_GLOBAL, "get_one": READ_QUOTA, "put": WRITE_QUOTA}
        | {"delete": WRITE_QUOTA, "get_defaults": READ_QUOTA},
    ),
    (
        "amphora",
        f"{_OCTAVIA}/amphorae",
        dict.fromkeys(("get_all", "get_one", "delete", "put_config", "put_failover", "get_stats"), ADMIN),
    ),
    ("provider", f"{_LBAAS}/providers", {"get_all": READ}),
    ("provider-flavor", f"{_LBAAS}/providers/{{provider}}/flavor_capabilities", {"get_all": ADMIN}),
    (
        "provider-availability-zone",
        f"{_LBAAS}/providers/{{provider}}/availability_zone_capabilities",
        {"get_all": ADMIN},
    ),
    ("event", "/v2/events", {"get_all": READ, "get_all-global": READ_GLOBAL}),
    ("flavor", f"{_LBAAS}/flavors", _CHOSEN),
    ("flavor-profile", f"{_LBAAS}/flavorprofiles", _PROFILE),
    ("availability-zone", f"{_LBAAS}/availabilityzones", _CHOSEN),
    ("availability-zone-profile", f"{_LBAAS}/availabilityzoneprofiles", _PROFILE),
)

_SAID: dict[str, tuple[str, str, str]] = {
    "get_all": ("GET", "", "List"),
    "get_all-global": ("GET", "", "List those of all projects:"),
    "post": ("POST", "", "Create"),
    "post:vip_sg_ids": ("POST", "", "Create with security groups of the user's own:"),
    "get_one": ("GET", "/{id}", "Show"),
    "put": ("PUT", "/{id}", "Change"),
    "put:vip_sg_ids": ("PUT", "/{id}", "Change the security groups:"),
    "delete": ("DELETE", "/{id}", "Delete"),
    "get_stats": ("GET", "/{id}/stats", "Show the statistics:"),
    "get_status": ("GET", "/{id}/status", "Show the status tree:"),
    "get_defaults": ("GET", "/{id}/default", "Show the defaults:"),
    "put_config": ("PUT", "/{id}/config", "Send the agent its configuration:"),
    "put_failover": ("PUT", "/{id}/failover", "Fail over:"),
}
"""What an action does: method, path below that of the resource, words."""


def _rules() -> Iterator[DocumentedRuleDefault]:
    for kind, path, actions in _RESOURCES:
        for action, check in actions.items():
            method, below, words = _SAID[action]
            operation = Operation(method=method, path=path + below)
            yield DocumentedRuleDefault(f"{PREFIX}{kind}:{action}", check, f"{words} {kind}.", [operation])


RULES: Sequence[DocumentedRuleDefault] = tuple(_rules())
"""What may be done by whom."""
