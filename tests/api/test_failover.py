"""Failover that somebody asked for: of a load balancer with all its amphorae, or of one amphora."""

from uuid import UUID

import pytest

from commands.ports import Origin
from infra.settings import Profile
from tests.api.conftest import Api
from tests.api.test_amphora import COUNTERS, amphora_of, call, count, fail, refused, serve, show, with_settings

pytestmark = pytest.mark.postgres


def path_of(load_balancer: dict[str, object]) -> str:
    return f"/loadbalancers/{load_balancer['id']}"


def status_of(api: Api, load_balancer: dict[str, object]) -> str:
    status: str = api.get(path_of(load_balancer))["loadbalancer"]["provisioning_status"]
    return status


# Of a load balancer


@pytest.mark.parametrize("body", [None, {}, {"loom": 1}], ids=["none", "empty", "some"])
def test_load_balancer_is_pending_until_its_replacement_serves(api: Api, body: object) -> None:
    load_balancer = api.load_balancer()
    lost = serve(api, load_balancer)

    result = api.call("PUT", f"{path_of(load_balancer)}/failover", body)

    assert (result.status_code, result.text) == (202, "")
    assert status_of(api, load_balancer) == "PENDING_UPDATE"
    assert show(api, lost.id)["status"] == "PENDING_DELETE"
    replacement = serve(api, load_balancer)
    assert status_of(api, load_balancer) == "ACTIVE"
    assert replacement.replaces == lost.id


def test_load_balancer_without_amphorae_is_confirmed_once_more(api: Api) -> None:
    noop = with_settings(api, profile=Profile.NOOP)
    load_balancer = noop.load_balancer(provider="noop_driver")
    aggregate = api.store.load_balancer(UUID(load_balancer["id"]))
    aggregate.configuration_is_applied(aggregate.id, aggregate.revision, sha256="")
    api.store.save(aggregate, origin=Origin())

    result = noop.call("PUT", f"{path_of(load_balancer)}/failover")

    assert result.status_code == 202
    assert status_of(api, load_balancer) == "PENDING_UPDATE"
    assert api.store.load_balancer(aggregate.id).revision > aggregate.revision


def test_failover_asked_for_while_an_amphora_is_being_built_conflicts(api: Api) -> None:
    load_balancer = api.load_balancer()

    text = api.refused(409, "PUT", f"{path_of(load_balancer)}/failover")

    assert text == f"Invalid state PENDING_CREATE of loadbalancer resource {load_balancer['id']}"


def test_failover_of_a_load_balancer_that_is_being_deleted_conflicts(api: Api) -> None:
    load_balancer = api.load_balancer()
    serve(api, load_balancer)
    api.delete(path_of(load_balancer))

    text = api.refused(409, "PUT", f"{path_of(load_balancer)}/failover")

    assert text == f"Invalid state PENDING_DELETE of loadbalancer resource {load_balancer['id']}"


# Of one amphora


def test_failover_of_an_amphora_leaves_its_load_balancer_pending(api: Api) -> None:
    load_balancer = api.load_balancer()
    lost = serve(api, load_balancer)

    result = call(api, "PUT", f"/{lost.id}/failover")

    assert (result.status_code, result.text) == (202, "")
    assert status_of(api, load_balancer) == "PENDING_UPDATE"
    assert show(api, lost.id)["status"] == "PENDING_DELETE"
    assert amphora_of(api, load_balancer).replaces == lost.id


def test_failover_of_an_amphora_that_does_not_serve_conflicts(api: Api) -> None:
    being_built, failing = api.load_balancer(), api.load_balancer()
    amphorae = [amphora_of(api, being_built), fail(api, failing)]

    texts = [refused(api, 409, "PUT", f"/{amphora.id}/failover") for amphora in amphorae]

    expected = [f"Load Balancer {each['id']} is immutable and cannot be updated." for each in (being_built, failing)]
    assert texts == expected


def test_only_one_failover_of_an_amphora_at_a_time(api: Api) -> None:
    load_balancer = api.load_balancer()
    amphora = serve(api, load_balancer)
    call(api, "PUT", f"/{amphora.id}/failover")

    text = refused(api, 409, "PUT", f"/{amphora.id}/failover")

    assert text == f"Load Balancer {load_balancer['id']} is immutable and cannot be updated."


def test_where_locks_are_strict_an_amphora_is_failed_over_only_while_its_load_balancer_is_at_rest(api: Api) -> None:
    load_balancer = api.load_balancer()
    amphora = serve(api, load_balancer)
    api.listener(load_balancer)

    text = refused(with_settings(api, strict_immutability=True), 409, "PUT", f"/{amphora.id}/failover")

    assert text == f"Load Balancer {load_balancer['id']} is immutable and cannot be updated."
    assert call(api, "PUT", f"/{amphora.id}/failover").status_code == 202


# Statistics


def test_statistics_go_on_over_a_failover_but_for_connections_that_are_open(api: Api) -> None:
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer)
    lost = serve(api, load_balancer)
    count(api, load_balancer, listener, lost, 10)

    call(api, "PUT", f"/{lost.id}/failover")
    replacement = serve(api, load_balancer)
    lost = api.store.amphora(lost.id)
    lost.removed()
    api.store.save(lost, origin=Origin())
    count(api, load_balancer, listener, replacement, 1)

    for path in (path_of(load_balancer), f"/listeners/{listener['id']}"):
        stats = api.get(f"{path}/stats")["stats"]
        assert stats == {**dict.fromkeys(COUNTERS, 11), "active_connections": 1}
    assert refused(api, 404, "GET", f"/{lost.id}/stats") == f"Amphora stats for {lost.id} not found."
    (told,) = call(api, "GET", f"/{replacement.id}/stats").json["amphora_stats"]
    assert {told[name] for name in COUNTERS} == {1}
