"""Requests with an idempotency key: repeated as often as one likes, carried out once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import pytest

from infra.idempotency import keep_forgetting
from infra.local_network import VIP_SUBNET
from tests.api.conftest import Api
from tests.system.api import until

pytestmark = pytest.mark.postgres


def key(said: str | None = None) -> dict[str, str]:
    return {"Idempotency-Key": said or str(uuid4())}


def a_load_balancer(**more: object) -> dict[str, Any]:
    return {"loadbalancer": {"vip_subnet_id": str(VIP_SUBNET.id), **more}}


def events(api: Api) -> int:
    with api.pool.connection() as connection:
        found = connection.execute("SELECT count(*) FROM tacitus_events").fetchone()
    assert found is not None
    return int(found[0])


def lose_answers(api: Api) -> None:
    """As after a kill -9 between a commit and the answer to it."""
    with api.pool.connection() as connection:
        connection.execute("UPDATE idempotency SET status = NULL, headers = NULL, body = NULL, required = '[]'")


def test_a_repeated_creation_is_answered_alike_and_creates_nothing(api: Api) -> None:
    headers, body = key(), a_load_balancer(name="once")

    first = api.call("POST", "/loadbalancers", body, headers=headers)
    before = events(api)
    second = api.call("POST", "/loadbalancers", body, headers=headers)

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.text == first.text
    assert second.headers["ETag"] == first.headers["ETag"]
    assert events(api) == before
    assert len(api.get("/loadbalancers")["loadbalancers"]) == 1


def test_without_a_key_two_are_two(api: Api) -> None:
    api.create("/loadbalancers", "loadbalancer", **a_load_balancer()["loadbalancer"])
    api.create("/loadbalancers", "loadbalancer", **a_load_balancer()["loadbalancer"])

    assert len(api.get("/loadbalancers")["loadbalancers"]) == 2


def _changes(api: Api) -> list[tuple[str, str, str, object]]:
    """Every kind of write below a load balancer: name, method, path, body."""
    load_balancer = api.load_balancer()
    listener, pool = api.listener(load_balancer), api.pool_of(load_balancer)
    member, monitor = api.member(pool), api.health_monitor(pool)
    policy = api.create("/l7policies", "l7policy", listener_id=listener["id"], action="REJECT")
    rule = {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/"}
    members, rules = f"/pools/{pool['id']}/members", f"/l7policies/{policy['id']}/rules"
    batch = {"members": [{"address": "127.0.0.99", "protocol_port": 80}]}
    of_listener = {"loadbalancer_id": load_balancer["id"], "protocol": "HTTP", "protocol_port": 8080}
    of_pool = {"loadbalancer_id": load_balancer["id"], "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    return [
        ("change the load balancer", "PUT", f"/loadbalancers/{load_balancer['id']}", {"loadbalancer": {"name": "x"}}),
        ("add a listener", "POST", "/listeners", {"listener": of_listener}),
        ("change a listener", "PUT", f"/listeners/{listener['id']}", {"listener": {"name": "x"}}),
        ("add a pool", "POST", "/pools", {"pool": of_pool}),
        ("change a pool", "PUT", f"/pools/{pool['id']}", {"pool": {"name": "x"}}),
        ("add a member", "POST", members, {"member": {"address": "127.0.0.11", "protocol_port": 80}}),
        ("change a member", "PUT", f"{members}/{member['id']}", {"member": {"weight": 7}}),
        ("change a monitor", "PUT", f"/healthmonitors/{monitor['id']}", {"healthmonitor": {"delay": 9}}),
        ("add a rule", "POST", rules, {"rule": rule}),
        ("replace the members", "PUT", members, batch),
        ("remove the monitor", "DELETE", f"/healthmonitors/{monitor['id']}", None),
        ("remove the policy", "DELETE", f"/l7policies/{policy['id']}", None),
        ("remove the listener", "DELETE", f"/listeners/{listener['id']}", None),
        ("remove the load balancer", "DELETE", f"/loadbalancers/{load_balancer['id']}", None),
    ]


@pytest.mark.parametrize("is_lost", [False, True], ids=["the answer arrived", "the answer was lost"])
def test_every_write_is_carried_out_once(api: Api, is_lost: bool) -> None:
    for name, method, path, body in _changes(api):
        headers = key()
        query = "cascade=true" if name == "remove the load balancer" else ""

        first = api.call(method, path, body, headers=headers, query_string=query)
        before = events(api)
        if is_lost:
            lose_answers(api)
        second = api.call(method, path, body, headers=headers, query_string=query)

        assert first.status_code < 300, (name, first.text)
        assert (second.status_code, second.text) == (first.status_code, first.text), name
        assert events(api) == before, name


@pytest.mark.parametrize(
    "change",
    [
        lambda said: {**said, "body": a_load_balancer(name="other")},
        lambda said: {**said, "path": "/listeners"},
        lambda said: {**said, "method": "DELETE", "body": None},
        lambda said: {**said, "query": "dry_run=false"},
    ],
    ids=["body", "path", "method", "query"],
)
def test_a_key_belongs_to_one_request(api: Api, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    headers = key()
    said = {"method": "POST", "path": "/loadbalancers", "body": a_load_balancer(), "query": ""}
    api.call("POST", "/loadbalancers", said["body"], headers=headers)
    other = change(said)

    text = api.refused(422, other["method"], other["path"], other["body"], headers=headers, query_string=other["query"])

    assert "Idempotency-Key" in text


def test_what_was_refused_frees_its_key(api: Api) -> None:
    headers = key()
    api.refused(400, "POST", "/loadbalancers", {"loadbalancer": {"nonsense": 1}}, headers=headers)

    accepted = api.call("POST", "/loadbalancers", a_load_balancer(), headers=headers)

    assert accepted.status_code == 201


def test_keys_of_projects_are_their_own(api: Api) -> None:
    headers = key()

    first = api.call("POST", "/loadbalancers", a_load_balancer(), headers=headers)
    second = api.call("POST", "/loadbalancers", a_load_balancer(), headers={**headers, "X-Project-Id": "other"})

    assert first.json["loadbalancer"]["id"] != second.json["loadbalancer"]["id"]


def test_a_key_is_forgotten_after_its_day(api: Api) -> None:
    headers, body = key(), a_load_balancer()
    first = api.call("POST", "/loadbalancers", body, headers=headers)
    with api.pool.connection() as connection:
        connection.execute("UPDATE idempotency SET begun_at = begun_at - interval '25 hours'")

    second = api.call("POST", "/loadbalancers", body, headers=headers)

    assert second.status_code == 201
    assert first.json["loadbalancer"]["id"] != second.json["loadbalancer"]["id"]


def test_the_same_key_at_the_same_time_is_one_request(api: Api) -> None:
    headers, body = key(), a_load_balancer()

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: api.call("POST", "/loadbalancers", body, headers=headers), range(4)))

    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.text for answer in answers if answer.status_code == 201}) == 1
    assert all(answer.headers["Retry-After"] for answer in answers if answer.status_code == 409)
    assert len(api.get("/loadbalancers")["loadbalancers"]) == 1


@pytest.mark.parametrize("said", ["", "x" * 256, "ümlaut"], ids=["empty", "long", "not ASCII"])
def test_a_key_has_to_be_one(api: Api, said: str) -> None:
    api.refused(400, "POST", "/loadbalancers", a_load_balancer(), headers={"Idempotency-Key": said})

    assert events(api) == 0


def test_a_dry_run_does_not_use_up_a_key(api: Api) -> None:
    headers, body = key(), a_load_balancer()

    api.call("POST", "/loadbalancers", body, headers=headers, query_string="dry_run=true")
    real = api.call("POST", "/loadbalancers", body, headers=headers)

    assert real.status_code == 201


def test_deletions_and_catalogue_entries_whose_answers_were_lost_are_answered_again(api: Api) -> None:
    profile = {"flavorprofile": {"name": "p", "provider_name": "amphora", "flavor_data": "{}"}}
    made, removed = key(), key()

    first = api.call("POST", "/flavorprofiles", profile, headers=made)
    lose_answers(api)
    second = api.call("POST", "/flavorprofiles", profile, headers=made)
    path = f"/flavorprofiles/{first.json['flavorprofile']['id']}"
    deleted = api.call("DELETE", path, headers=removed)
    lose_answers(api)
    again = api.call("DELETE", path, headers=removed)
    other = api.call("DELETE", path, headers=key())

    assert (first.status_code, second.text) == (201, first.text)
    assert (deleted.status_code, again.status_code, again.text, other.status_code) == (204, 204, "", 404)


def test_a_deletion_that_came_to_its_end_is_answered_again(api: Api) -> None:
    load_balancer = api.load_balancer()
    path, headers = f"/loadbalancers/{load_balancer['id']}", key()
    api.call("DELETE", path, headers=headers)
    lose_answers(api)
    api.finish_deletion(load_balancer)

    again = api.call("DELETE", path, headers=headers)

    assert (again.status_code, again.text) == (204, "")


def test_what_was_kept_for_a_day_is_removed(api: Api) -> None:
    api.call("POST", "/loadbalancers", a_load_balancer(), headers=key())
    kept = key()
    with api.pool.connection() as connection:
        connection.execute("UPDATE idempotency SET begun_at = begun_at - interval '25 hours'")
    api.call("POST", "/loadbalancers", a_load_balancer(), headers=kept)
    stop = Event()
    sweep = Thread(target=keep_forgetting, args=(api.pool, stop, 0.01))

    sweep.start()
    until(lambda: _keys(api) == 1, 5, "the old key to be gone")
    stop.set()
    sweep.join()

    assert _keys(api) == 1


def _keys(api: Api) -> int:
    with api.pool.connection() as connection:
        found = connection.execute("SELECT count(*) FROM idempotency").fetchone()
    assert found is not None
    return int(found[0])
