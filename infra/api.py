"""The API: every URL of the contract, with what answers there."""

from typing import Any

import falcon
from psycopg_pool import ConnectionPool

from commands.health_monitor import HealthMonitorHandler, HealthMonitorResource, HealthMonitorsResource
from commands.listener import ListenerHandler, ListenerResource, ListenersResource
from commands.load_balancer import LoadBalancerHandler, LoadBalancerResource, LoadBalancersResource
from commands.member import MemberHandler, MemberResource, MembersResource
from commands.pool import PoolHandler, PoolResource, PoolsResource
from commands.ports import Aggregates, NetworkReads, Places, VipAllocation
from commands.turns import Turns
from infra.discovery import Providers, VersionRoot, Versions
from infra.http import Joined, NotCarriedOutYet, Routes, application
from infra.neutron_reads import NetworkResource, NetworkResources
from infra.settings import Profile, Settings
from projections.health_monitor import HEALTH_MONITORS
from projections.listener import LISTENERS
from projections.load_balancer import LOAD_BALANCERS
from projections.member import MEMBERS
from projections.pool import POOLS
from projections.statistics import Statistics
from projections.status_tree import StatusTree
from projections.view import Collection, CollectionBelow, Item, ItemBelow, View

_AMPHORA = {
    "amphora": "The Octavia Amphora driver.",
    "octavia": "Deprecated alias of the Octavia Amphora driver.",
}
_NOOP = {**_AMPHORA, "noop_driver": "The no-op driver."}
_NOT_YET = (
    ("/l7policies", "The resource l7policies", ("GET", "POST")),
    ("/l7policies/{id}", "The resource l7policies", ("GET", "PUT", "DELETE")),
    ("/l7policies/{id}/rules", "The resource rules", ("GET", "POST")),
    ("/l7policies/{id}/rules/{rule_id}", "The resource rules", ("GET", "PUT", "DELETE")),
    ("/quotas", "The resource quotas", ("GET",)),
    ("/quotas/{project_id}", "The resource quotas", ("GET", "PUT", "DELETE")),
    ("/quotas/{project_id}/default", "The resource quotas", ("GET",)),
    ("/providers/{name}", "A single provider", ()),
    ("/providers/{name}/flavor_capabilities", "The resource flavor_capabilities", ("GET",)),
    ("/providers/{name}/availability_zone_capabilities", "The resource availability_zone_capabilities", ("GET",)),
    ("/flavors", "The resource flavors", ("GET", "POST")),
    ("/flavors/{id}", "The resource flavors", ("GET", "PUT", "DELETE")),
    ("/flavorprofiles", "The resource flavorprofiles", ("GET", "POST")),
    ("/flavorprofiles/{id}", "The resource flavorprofiles", ("GET", "PUT", "DELETE")),
    ("/availabilityzones", "The resource availabilityzones", ("GET", "POST")),
    ("/availabilityzones/{id}", "The resource availabilityzones", ("GET", "PUT", "DELETE")),
    ("/availabilityzoneprofiles", "The resource availabilityzoneprofiles", ("GET", "POST")),
    ("/availabilityzoneprofiles/{id}", "The resource availabilityzoneprofiles", ("GET", "PUT", "DELETE")),
    ("/loadbalancers/{id}/failover", "The failover of a load balancer", ("PUT",)),
)
_NOT_YET_FOR_OPERATORS = (
    ("/amphorae", "The resource amphorae", ("GET",)),
    ("/amphorae/{id}", "The resource amphorae", ("GET", "DELETE")),
    ("/amphorae/{id}/stats", "The resource amphorae", ("GET",)),
    ("/amphorae/{id}/config", "The resource amphorae", ("PUT",)),
    ("/amphorae/{id}/failover", "The resource amphorae", ("PUT",)),
)


def api_application(
    *,
    aggregates: Aggregates,
    places: Places,
    vips: VipAllocation,
    network_reads: NetworkReads | None,
    pool: ConnectionPool[Any],
    settings: Settings,
) -> "falcon.App[Any, Any]":
    """The WSGI application of the API.

    network_reads  what is shown in Neutron's place, None where there is a Neutron
    pool           connections in autocommit, for reads
    """
    providers = _NOOP if settings.profile == Profile.NOOP else _AMPHORA
    turns = Turns(aggregates)
    views = _Views(pool, settings.pagination_max_limit)
    resources: Routes = {
        **_load_balancers(views, LoadBalancerHandler(aggregates, turns, vips), tuple(providers)),
        **_listeners(views, ListenerHandler(aggregates, turns), places),
        **_pools(views, PoolHandler(aggregates, turns), places),
        **_members(views, MemberHandler(aggregates, turns, vips, settings.reserved_ips), places),
        **_health_monitors(
            views,
            HealthMonitorHandler(aggregates, turns, ping_allowed=settings.allow_ping_health_monitors),
            places,
        ),
        "/providers": Providers(providers),
        **{path: NotCarriedOutYet(title, methods) for path, title, methods in _NOT_YET},
    }
    operators = {path: NotCarriedOutYet(title, methods) for path, title, methods in _NOT_YET_FOR_OPERATORS}
    roots = {"": VersionRoot(), "/lbaas": VersionRoot(), "/octavia": VersionRoot()}
    versioned = [("", roots), ("/lbaas", resources), ("", resources), ("/octavia", operators)]
    if network_reads is not None:
        versioned.append(("", _networks(network_reads)))
    return application({"/": Versions()}, versioned)


class _Views:
    """The read side of every resource, over one pool of connections."""

    def __init__(self, pool: ConnectionPool[Any], largest_page: int) -> None:
        self.pool = pool
        self._largest_page = largest_page
        self.load_balancers = View(LOAD_BALANCERS, pool)
        self.listeners = View(LISTENERS, pool)
        self.pools = View(POOLS, pool)
        self.members = View(MEMBERS, pool)
        self.health_monitors = View(HEALTH_MONITORS, pool)

    def many(self, view: View) -> Collection:
        return Collection(view, self._largest_page)

    def one(self, view: View) -> Item:
        return Item(view, self._largest_page)

    def many_below(self, view: View) -> CollectionBelow:
        return CollectionBelow(view, self._largest_page)

    def one_below(self, view: View) -> ItemBelow:
        return ItemBelow(view, self._largest_page)


def _load_balancers(views: _Views, handler: LoadBalancerHandler, providers: tuple[str, ...]) -> Routes:
    view = views.load_balancers
    statuses = StatusTree(views.pool)
    return {
        "/loadbalancers": Joined(views.many(view), LoadBalancersResource(handler, view, providers)),
        "/loadbalancers/{id}": Joined(views.one(view), LoadBalancerResource(handler, view)),
        "/loadbalancers/{id}/status": statuses,
        "/loadbalancers/{id}/statuses": statuses,
        "/loadbalancers/{id}/stats": Statistics.of_load_balancers(views.pool),
    }


def _listeners(views: _Views, handler: ListenerHandler, places: Places) -> Routes:
    view = views.listeners
    return {
        "/listeners": Joined(views.many(view), ListenersResource(handler, view)),
        "/listeners/{id}": Joined(views.one(view), ListenerResource(handler, view, places)),
        "/listeners/{id}/stats": Statistics.of_listeners(views.pool),
    }


def _pools(views: _Views, handler: PoolHandler, places: Places) -> Routes:
    view = views.pools
    return {
        "/pools": Joined(views.many(view), PoolsResource(handler, view, places)),
        "/pools/{id}": Joined(views.one(view), PoolResource(handler, view, places)),
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
        "/healthmonitors/{id}": Joined(views.one(view), HealthMonitorResource(handler, view, places)),
    }


def _networks(reads: NetworkReads) -> Routes:
    kinds = (
        ("/networks", reads.networks, "networks", "network"),
        ("/subnets", reads.subnets, "subnets", "subnet"),
        ("/ports", reads.ports, "ports", "port"),
        ("/qos/policies", reads.qos_policies, "policies", "policy"),
    )
    lists = {path: NetworkResources(documents, many) for path, documents, many, _ in kinds}
    return {**lists, **{f"{path}/{{id}}": NetworkResource(documents, one) for path, documents, _, one in kinds}}
