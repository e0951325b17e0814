"""The part of the API that shows and sets quotas."""

from dataclasses import replace
from typing import Any

from psycopg_pool import ConnectionPool

from commands.ports import Aggregates
from commands.quota import QuotaHandler, QuotaResource, QuotasResource
from commands.turns import Turns
from domain.quota import QuotaDefaults
from infra.http import Joined, Routes
from infra.settings import Settings
from projections.listing import ListRules
from projections.quota import DefaultQuota, ShownQuota, quotas
from projections.view import Collection, View


def quota_defaults(settings: Settings) -> QuotaDefaults:
    return QuotaDefaults(
        load_balancer=settings.default_load_balancer_quota,
        listener=settings.default_listener_quota,
        member=settings.default_member_quota,
        pool=settings.default_pool_quota,
        health_monitor=settings.default_health_monitor_quota,
        l7_policy=settings.default_l7policy_quota,
        l7_rule=settings.default_l7rule_quota,
    )


def quota_routes(
    defaults: QuotaDefaults, aggregates: Aggregates, turns: Turns, pool: ConnectionPool[Any], rules: ListRules
) -> Routes:
    """Path -> what answers there. The defaults are also shown as the quota of a project named `defaults`."""
    view = View(quotas(defaults), pool)
    return {
        "/quotas": Joined(Collection(view, replace(rules, field_selection=False)), QuotasResource()),
        "/quotas/{project_id}": Joined(ShownQuota(view), QuotaResource(QuotaHandler(aggregates, turns), view)),
        "/quotas/{project_id}/default": DefaultQuota(view),
    }
