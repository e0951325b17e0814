"""What each method of each URL does, in the words of OpenAPI; bodies follow from the parsers that read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from commands import health_monitor, l7_policy, l7_rule, listener, load_balancer, member, pool, quota
from commands.availability_zone import AVAILABILITY_ZONE, AVAILABILITY_ZONE_PROFILE
from commands.body import Parser
from commands.flavor import FLAVOR, FLAVOR_PROFILE
from commands.schema import Schema, change_schema, creation_schema, or_null
from domain.quota import QuotaDefaults
from infra.openapi_operations import DRY_RUN, Argument, Operation
from infra.openapi_shown import complete, many, ref
from projections.amphora import AMPHORAE
from projections.availability_zone import AVAILABILITY_ZONE_PROFILES, AVAILABILITY_ZONES
from projections.flavor import FLAVOR_PROFILES, FLAVORS
from projections.health_monitor import HEALTH_MONITORS
from projections.l7_policy import L7_POLICIES
from projections.l7_rule import L7_RULES
from projections.listener import LISTENERS
from projections.load_balancer import LOAD_BALANCERS
from projections.member import MEMBERS
from projections.pool import POOLS
from projections.quota import quotas
from projections.view import Resource

Operations = Mapping[str, Operation]
"""By method."""

FIELDS = Argument("fields", "Show these attributes only", many=True)
_PAGE = (
    Argument("limit", "The longest list that is wanted", "integer"),
    Argument("marker", "The last object of the page before"),
    Argument("page_reverse", '"True" for the page before the marker'),
    Argument("sort", "Attributes to sort by, each with `:asc` or `:desc`, separated by commas"),
    Argument("sort_key", "Likewise, without directions"),
    Argument("sort_dir", "The directions of `sort_key`"),
)
_TAGS = (
    Argument("tags", "Those that have all of these", many=True),
    Argument("tags-any", "Those that have one of these", many=True),
    Argument("not-tags", "Those that lack one of these", many=True),
    Argument("not-tags-any", "Those that have none of these", many=True),
)


@dataclass(frozen=True, kw_only=True)
class Described:
    """One kind of resource.

    word, words  what one is called, and several
    parser       of the bodies that create and change it, None for what only appears
    """

    word: str
    words: str
    resource: Resource
    parser: Parser[Any] | None = None
    dry_runs: bool = True

    @property
    def component(self) -> str:
        """The name of its schema."""
        return "".join(part[0].upper() + part[1:] for part in self.word.split())

    @property
    def bodies(self) -> dict[str, Schema]:
        if self.parser is None:
            return {}
        return {
            f"{self.component}Create": creation_schema(self.parser),
            f"{self.component}Update": change_schema(self.parser),
        }

    @property
    def on_writes(self) -> tuple[Argument, ...]:
        return (DRY_RUN,) if self.dry_runs else ()

    def listed(self) -> Operation:
        resource = self.resource
        links = resource.links or f"{resource.many}_links"
        filters = tuple(Argument(name, "Those with this value") for name in resource.columns)
        return Operation(
            id=f"list_{_name(self.words)}",
            summary=f"List {self.words}",
            arguments=(*_PAGE, FIELDS, *(_TAGS if resource.tagged else ()), *filters),
            answers={200: complete(**{resource.many: many(ref(self.component)), links: or_null(many(ref("Link")))})},
        )

    def shown(self) -> Operation:
        return Operation(
            id=f"show_{_name(self.word)}",
            summary=f"Show one {self.word}",
            arguments=(FIELDS,),
            answers={200: self._one()},
            tagged=True,
        )

    def created(self, shown: str = "") -> Operation:
        """shown: the component, where it is another than that of a GET"""
        answers = {201: self._one(shown)}
        if self.dry_runs:
            answers[200] = complete(**{self.resource.one: ref(shown or self.component), "dry_run": ref("DryRun")})
        return Operation(
            id=f"create_{_name(self.word)}",
            summary=f"Create one {self.word}",
            arguments=self.on_writes,
            body=complete(**{self.resource.one: ref(f"{self.component}Create")}),
            answers=answers,
            tagged=True,
        )

    def changed(self) -> Operation:
        answer = self._one()
        if self.dry_runs:
            answer["properties"]["dry_run"] = ref("DryRun")
        return Operation(
            id=f"update_{_name(self.word)}",
            summary=f"Change one {self.word}",
            arguments=self.on_writes,
            body=complete(**{self.resource.one: ref(f"{self.component}Update")}),
            answers={200: answer},
            tagged=True,
        )

    def removed(self, *more: Argument) -> Operation:
        return Operation(
            id=f"delete_{_name(self.word)}",
            summary=f"Delete one {self.word}",
            arguments=(*more, *self.on_writes),
            answers=_nothing(204, dry_runs=self.dry_runs),
        )

    @property
    def collection(self) -> Operations:
        return {"get": self.listed(), "post": self.created()}

    @property
    def item(self) -> Operations:
        return {"get": self.shown(), "put": self.changed(), "delete": self.removed()}

    def _one(self, shown: str = "") -> Schema:
        return complete(**{self.resource.one: ref(shown or self.component)})


def _name(words: str) -> str:
    return words.replace(" ", "_").lower()


def _nothing(status: int, *, dry_runs: bool = True) -> dict[int, Schema | None]:
    return {status: None, **({200: complete(dry_run=ref("DryRun"))} if dry_runs else {})}


LOAD_BALANCER = Described(
    word="load balancer", words="load balancers", resource=LOAD_BALANCERS, parser=load_balancer.PARSER
)
LISTENER = Described(word="listener", words="listeners", resource=LISTENERS, parser=listener.PARSER)
POOL = Described(word="pool", words="pools", resource=POOLS, parser=pool.PARSER)
MEMBER = Described(word="member", words="members", resource=MEMBERS, parser=member.PARSER)
HEALTH_MONITOR = Described(
    word="health monitor", words="health monitors", resource=HEALTH_MONITORS, parser=health_monitor.PARSER
)
L7_POLICY = Described(word="L7 policy", words="L7 policies", resource=L7_POLICIES, parser=l7_policy.PARSER)
L7_RULE = Described(word="L7 rule", words="L7 rules", resource=L7_RULES, parser=l7_rule.PARSER)
QUOTA = Described(word="quota", words="quotas", resource=quotas(QuotaDefaults()), parser=quota.PARSER, dry_runs=False)
AMPHORA = Described(word="amphora", words="amphorae", resource=AMPHORAE)
ENTRIES = {
    "/lbaas/flavors": Described(word="flavor", words="flavors", resource=FLAVORS, parser=FLAVOR.parser, dry_runs=False),
    "/lbaas/flavorprofiles": Described(
        word="flavor profile",
        words="flavor profiles",
        resource=FLAVOR_PROFILES,
        parser=FLAVOR_PROFILE.parser,
        dry_runs=False,
    ),
    "/lbaas/availabilityzones": Described(
        word="availability zone",
        words="availability zones",
        resource=AVAILABILITY_ZONES,
        parser=AVAILABILITY_ZONE.parser,
        dry_runs=False,
    ),
    "/lbaas/availabilityzoneprofiles": Described(
        word="availability zone profile",
        words="availability zone profiles",
        resource=AVAILABILITY_ZONE_PROFILES,
        parser=AVAILABILITY_ZONE_PROFILE.parser,
        dry_runs=False,
    ),
}
KINDS = (LOAD_BALANCER, LISTENER, POOL, MEMBER, HEALTH_MONITOR, L7_POLICY, L7_RULE, QUOTA, *ENTRIES.values())


def _read(id: str, summary: str, answer: Schema, *arguments: Argument, open: bool = False) -> Operations:
    return {"get": Operation(id=id, summary=summary, answers={200: answer}, arguments=arguments, open=open)}


def _ordered(id: str, summary: str, *, arguments: Sequence[Argument] = (DRY_RUN,)) -> Operations:
    """A PUT that says it all by its URL."""
    return {"put": Operation(id=id, summary=summary, answers=_nothing(202), arguments=arguments)}


_MEMBERS = Operation(
    id="replace_members",
    summary="Replace the members of a pool",
    arguments=(Argument("additive_only", "Members that are not named stay", "boolean"), DRY_RUN),
    body=complete(members=many(ref("MemberCreate"))),
    answers=_nothing(202),
)
_CASCADE = Argument("cascade", "With all that is below it", "boolean")
_STATUSES = complete(statuses=complete(loadbalancer=ref("StatusTree")))
_STATISTICS = complete(stats=ref("Statistics"))

_TREE: Mapping[str, Operations] = {
    "/lbaas/loadbalancers": {"get": LOAD_BALANCER.listed(), "post": LOAD_BALANCER.created("PopulatedLoadBalancer")},
    "/lbaas/loadbalancers/{id}": {**LOAD_BALANCER.item, "delete": LOAD_BALANCER.removed(_CASCADE)},
    "/lbaas/loadbalancers/{id}/failover": _ordered("fail_over_load_balancer", "Replace its amphorae"),
    "/lbaas/loadbalancers/{id}/status": _read("show_status", "Show the statuses of a tree", _STATUSES),
    "/lbaas/loadbalancers/{id}/statuses": _read("show_statuses", "Show the statuses of a tree", _STATUSES),
    "/lbaas/loadbalancers/{id}/stats": _read("show_load_balancer_stats", "Show what passed through it", _STATISTICS),
    "/lbaas/listeners": LISTENER.collection,
    "/lbaas/listeners/{id}": LISTENER.item,
    "/lbaas/listeners/{id}/stats": _read("show_listener_stats", "Show what passed through it", _STATISTICS),
    "/lbaas/pools": POOL.collection,
    "/lbaas/pools/{id}": POOL.item,
    "/lbaas/pools/{id}/members": {**MEMBER.collection, "put": _MEMBERS},
    "/lbaas/pools/{id}/members/{member_id}": MEMBER.item,
    "/lbaas/healthmonitors": HEALTH_MONITOR.collection,
    "/lbaas/healthmonitors/{id}": HEALTH_MONITOR.item,
    "/lbaas/l7policies": L7_POLICY.collection,
    "/lbaas/l7policies/{id}": L7_POLICY.item,
    "/lbaas/l7policies/{id}/rules": L7_RULE.collection,
    "/lbaas/l7policies/{id}/rules/{rule_id}": L7_RULE.item,
}

_QUOTA = complete(quota=ref("Quota"))
_USAGE = Argument("usage", "With what is in use", "boolean")
_QUOTAS: Mapping[str, Operations] = {
    "/lbaas/quotas": {
        "get": replace(QUOTA.listed(), arguments=tuple(each for each in QUOTA.listed().arguments if each != FIELDS)),
        **{
            method: Operation(id=f"{method}_no_quota", summary="Refused: it names no project", answers={})
            for method in ("put", "delete")
        },
    },
    "/lbaas/quotas/{project_id}": {
        "get": replace(QUOTA.shown(), arguments=(_USAGE,)),
        "put": replace(QUOTA.changed(), answers={202: _QUOTA}),
        "delete": replace(QUOTA.removed(), summary="Go back to the defaults", answers={202: None}),
    },
    "/lbaas/quotas/{project_id}/default": _read("show_default_quota", "Show the defaults", _QUOTA),
}


def _capabilities(of: str) -> Operations:
    answer = complete(**{f"{of}_capabilities": many(ref("Capability"))})
    wanted = (Argument("name"), Argument("description"))
    return _read(f"list_{of}_capabilities", "List what a profile may say", answer, FIELDS, *wanted)


_OPERATORS: Mapping[str, Operations] = {
    "/lbaas/providers": _read("list_providers", "List providers", complete(providers=many(ref("Provider"))), FIELDS),
    "/lbaas/providers/{name}": {},
    "/lbaas/providers/{name}/flavor_capabilities": _capabilities("flavor"),
    "/lbaas/providers/{name}/availability_zone_capabilities": _capabilities("availability_zone"),
    **{path: entry.collection for path, entry in ENTRIES.items()},
    **{f"{path}/{{id}}": entry.item for path, entry in ENTRIES.items()},
    "/octavia/amphorae": {"get": AMPHORA.listed()},
    "/octavia/amphorae/{id}": {"get": replace(AMPHORA.shown(), tagged=False), "delete": AMPHORA.removed()},
    "/octavia/amphorae/{id}/stats": _read(
        "show_amphora_stats", "Show what passed through it", complete(amphora_stats=many(ref("AmphoraStatistics")))
    ),
    "/octavia/amphorae/{id}/config": _ordered("configure_amphora", "Send its agent its settings anew"),
    "/octavia/amphorae/{id}/failover": _ordered("fail_over_amphora", "Put another one in its place"),
}


def _network(path: str, one: str, several: str) -> Mapping[str, Operations]:
    found = replace(
        _read(f"show_{one}", "Show it as Neutron does", complete(**{one: ref("NetworkObject")}))["get"],
        faults={404: ref("NetworkFault")},
    )
    answer = complete(**{several: many(ref("NetworkObject"))})
    return {
        path: _read(f"list_{_name(several)}", "List them as Neutron does", answer, Argument("id"), Argument("name")),
        f"{path}/{{id}}": {"get": found},
    }


_IN_NEUTRONS_PLACE: Mapping[str, Operations] = {
    **_network("/networks", "network", "networks"),
    **_network("/subnets", "subnet", "subnets"),
    **_network("/ports", "port", "ports"),
    **_network("/qos/policies", "policy", "policies"),
    **_network("/security-groups", "security_group", "security_groups"),
}

BELOW_A_VERSION: Mapping[str, Operations] = {
    **{
        path: _read(f"show_version{path.replace('/', '_')}", "Name the version", {"const": "v2"})
        for path in ("", "/lbaas", "/octavia")
    },
    "/openapi": _read("show_api", "Show this document, also as openapi.json", {"type": "object"}, open=True),
    **_TREE,
    **_QUOTAS,
    **_OPERATORS,
    **_IN_NEUTRONS_PLACE,
}
_VERSIONS = Operation(
    id="list_versions", summary="List versions", answers={200: complete(versions=many(ref("Version")))}, open=True
)
_HEALTH = Operation(
    id="show_health",
    summary="Whether the service can answer",
    answers={204: None, 200: complete(detailed={"const": False}, reasons=many({"type": "string"}))},
    faults={503: {}},
    open=True,
)


def _also_head(operation: Operation) -> Operations:
    head = replace(operation, id=f"{operation.id}_head", answers=dict.fromkeys(operation.answers))
    return {"get": operation, "head": head}


ABOVE: Mapping[str, Operations] = {"/": _also_head(_VERSIONS), "/healthcheck": _also_head(_HEALTH)}
