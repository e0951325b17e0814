"""The API: every URL of the contract, with what answers there."""

from types import MappingProxyType
from typing import Any

import falcon
from psycopg_pool import ConnectionPool

from commands.amphora import AmphoraHandler
from commands.certificates import Certificates, UnreadCertificates
from commands.deciding import Deciding
from commands.graph import GraphReader
from commands.health_monitor import HealthMonitorHandler, HealthMonitorResource, HealthMonitorsResource
from commands.l7_policy import L7PoliciesResource, L7PolicyHandler, L7PolicyResource
from commands.l7_rule import L7RuleHandler, L7RuleResource, L7RulesResource
from commands.listener import ListenerHandler, ListenerResource, ListenersResource
from commands.load_balancer import (
    LoadBalancerFailoverResource,
    LoadBalancerHandler,
    LoadBalancerResource,
    LoadBalancersResource,
)
from commands.member import MemberHandler, MemberResource, MembersResource
from commands.pool import PoolHandler, PoolResource, PoolsResource
from commands.ports import Aggregates, Catalogue, NetworkReads, Places, VipAllocation
from commands.providers import Providers
from commands.turns import Turns
from domain.deployment import Deployment
from infra.actors import Actors
from infra.amphora_api import amphora_routes
from infra.api_telemetry import request_metrics
from infra.catalogue_api import catalogue_routes
from infra.controlled import reported_amphorae
from infra.discovery import VersionRoot, Versions
from infra.healthcheck import Healthcheck
from infra.http import HEALTHCHECK, BodyLimit, Joined, Routes, application
from infra.idempotency import Idempotency
from infra.identity import Allows, identity_of, nothing
from infra.neutron_reads import network_routes
from infra.openapi import DOCUMENT, OpenApi
from infra.quota_api import quota_defaults, quota_routes
from infra.settings import UNLIMITED, Profile, Settings
from projections.health_monitor import HEALTH_MONITORS
from projections.l7_policy import L7_POLICIES
from projections.l7_rule import L7_RULES
from projections.listener import LISTENERS
from projections.listing import ListRules
from projections.load_balancer import LOAD_BALANCERS
from projections.member import MEMBERS
from projections.pool import POOLS
from projections.statistics import Statistics
from projections.status_tree import StatusTree
from projections.view import Collection, CollectionBelow, Item, ItemBelow, View

_UNREAD = UnreadCertificates()


def api_application(
    *,
    aggregates: Aggregates,
    places: Places,
    vips: VipAllocation,
    network_reads: NetworkReads | None,
    providers: Providers,
    catalogue: Catalogue,
    deployment: Deployment,
    pool: ConnectionPool[Any],
    settings: Settings,
    allows: Allows = nothing,
    keys: ConnectionPool[Any] | None = None,
    control: Routes = MappingProxyType({}),
    certificates: Certificates = _UNREAD,
) -> "falcon.App[Any, Any]":
    """The WSGI application of the API.

    network_reads  what is shown in Neutron's place, None where there is a Neutron
    pool           connections in autocommit, for reads
    allows         the policy
    keys           connections in autocommit for requests with an idempotency key, None for those of `pool`
    control        the control API of the noop profile
    certificates   what listeners and pools may refer to
    """
    deciding = Deciding(aggregates, Turns(aggregates), providers, deployment)
    rules = _list_rules(settings)
    views = _Views(pool, rules)
    resources: Routes = {
        **_load_balancers(views, LoadBalancerHandler(deciding, vips, catalogue), deployment, certificates),
        **_listeners(views, ListenerHandler(deciding), places, deployment, certificates),
        **_pools(views, PoolHandler(deciding), places, deployment, certificates),
        **_members(views, MemberHandler(deciding, vips, catalogue), places),
        **_health_monitors(views, HealthMonitorHandler(deciding), places),
        **_l7_policies(views, L7PolicyHandler(deciding), places),
        **_l7_rules(views, L7RuleHandler(deciding), places),
        **catalogue_routes(providers, aggregates, deciding.turns, pool, rules),
        **quota_routes(quota_defaults(settings), aggregates, deciding.turns, pool, rules),
    }
    operators = amphora_routes(_amphorae(settings, deciding, places, pool), pool, rules)
    roots = _roots(settings, pool)
    words = {"": VersionRoot(), "/lbaas": VersionRoot(), "/octavia": VersionRoot()}
    versioned = [("", words), ("/lbaas", resources), ("/octavia", operators)]
    if network_reads is not None:
        versioned.append(("", network_routes(network_reads)))
    document = {DOCUMENT: OpenApi(roots, versioned)}
    identity = identity_of(settings.auth_strategy, allows, Actors(pool))
    limit = BodyLimit(settings.max_request_body_size)
    middleware = [*request_metrics(), identity, limit, Idempotency(keys or pool)]
    return application(middleware, {**roots, **control}, [*versioned, ("", resources), ("", document)])


def _amphorae(settings: Settings, deciding: Deciding, places: Places, pool: ConnectionPool[Any]) -> AmphoraHandler:
    if settings.profile == Profile.NOOP:
        return reported_amphorae(deciding, places, pool)
    return AmphoraHandler(deciding)


def _roots(settings: Settings, pool: ConnectionPool[Any]) -> Routes:
    roots: dict[str, object] = {"/": Versions()}
    if settings.healthcheck_enabled:
        roots[HEALTHCHECK] = Healthcheck(pool, settings.healthcheck_refresh_interval)
    return roots


def _list_rules(settings: Settings) -> ListRules:
    return ListRules(
        largest_page=None if settings.pagination_max_limit >= UNLIMITED else settings.pagination_max_limit,
        filtering=settings.allow_filtering,
        sorting=settings.allow_sorting,
        pagination=settings.allow_pagination,
        field_selection=settings.allow_field_selection,
        base_uri=settings.api_base_uri,
    )


class _Views:
    """The read side of every resource, over one pool of connections."""

    def __init__(self, pool: ConnectionPool[Any], rules: ListRules) -> None:
        self.pool = pool
        self._rules = rules
        self.load_balancers = View(LOAD_BALANCERS, pool)
        self.listeners = View(LISTENERS, pool)
        self.pools = View(POOLS, pool)
        self.members = View(MEMBERS, pool)
        self.health_monitors = View(HEALTH_MONITORS, pool)
        self.l7_policies = View(L7_POLICIES, pool)
        self.l7_rules = View(L7_RULES, pool)

    def graphs(self, deployment: Deployment) -> GraphReader:
        return GraphReader(
            deployment,
            self.listeners,
            self.pools,
            self.members,
            self.health_monitors,
            self.l7_policies,
            self.l7_rules,
        )

    def many(self, view: View) -> Collection:
        return Collection(view, self._rules)

    def one(self, view: View) -> Item:
        return Item(view, self._rules)

    def many_below(self, view: View) -> CollectionBelow:
        return CollectionBelow(view, self._rules)

    def one_below(self, view: View) -> ItemBelow:
        return ItemBelow(view, self._rules)


def _load_balancers(
    views: _Views, handler: LoadBalancerHandler, deployment: Deployment, certificates: Certificates
) -> Routes:
    view = views.load_balancers
    statuses = StatusTree(views.pool)
    created = LoadBalancersResource(handler, view, views.graphs(deployment), certificates)
    return {
        "/loadbalancers": Joined(views.many(view), created),
        "/loadbalancers/{id}/failover": LoadBalancerFailoverResource(handler, view),
        "/loadbalancers/{id}": Joined(views.one(view), LoadBalancerResource(handler, view)),
        "/loadbalancers/{id}/status": statuses,
        "/loadbalancers/{id}/statuses": statuses,
        "/loadbalancers/{id}/stats": Statistics.of_load_balancers(views.pool),
    }


def _listeners(
    views: _Views, handler: ListenerHandler, places: Places, deployment: Deployment, certificates: Certificates
) -> Routes:
    view = views.listeners
    return {
        "/listeners": Joined(views.many(view), ListenersResource(handler, view, places, deployment, certificates)),
        "/listeners/{id}": Joined(views.one(view), ListenerResource(handler, view, places, certificates)),
        "/listeners/{id}/stats": Statistics.of_listeners(views.pool),
    }


def _pools(
    views: _Views, handler: PoolHandler, places: Places, deployment: Deployment, certificates: Certificates
) -> Routes:
    view = views.pools
    return {
        "/pools": Joined(views.many(view), PoolsResource(handler, view, places, deployment, certificates)),
        "/pools/{id}": Joined(views.one(view), PoolResource(handler, view, places, certificates)),
    }


def _members(views: _Views, handler: MemberHandler, places: Places) -> Routes:
    view = views.members
    return {
        "/pools/{id}/members": Joined(views.many_below(view), MembersResource(handler, view, places)),
        "/pools/{id}/members/{member_id}": Joined(views.one_below(view), MemberResource(handler, view, places)),
    }


def _health_monitors(views: _Views, handler: HealthMonitorHandler, places: Places) -> Routes:
    view = views.health_monitors
    return {
        "/healthmonitors": Joined(views.many(view), HealthMonitorsResource(handler, view, places)),
        "/healthmonitors/{id}": Joined(views.one(view), HealthMonitorResource(handler, view)),
    }


def _l7_policies(views: _Views, handler: L7PolicyHandler, places: Places) -> Routes:
    view = views.l7_policies
    return {
        "/l7policies": Joined(views.many(view), L7PoliciesResource(handler, view, places)),
        "/l7policies/{id}": Joined(views.one(view), L7PolicyResource(handler, view, places)),
    }


def _l7_rules(views: _Views, handler: L7RuleHandler, places: Places) -> Routes:
    view = views.l7_rules
    return {
        "/l7policies/{id}/rules": Joined(views.many_below(view), L7RulesResource(handler, view, places)),
        "/l7policies/{id}/rules/{rule_id}": Joined(views.one_below(view), L7RuleResource(handler, view, places)),
    }
