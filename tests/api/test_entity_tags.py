"""Entity tags and dry runs: not overwriting what somebody else did, and knowing what would happen."""

from typing import Any

import pytest

from infra.local_network import VIP_SUBNET
from tests.api.conftest import Api

pytestmark = pytest.mark.postgres


def tag(api: Api, path: str) -> str:
    result = api.call("GET", path)
    assert result.status_code == 200
    found: str = result.headers["ETag"]
    return found


def everything(api: Api) -> list[str]:
    """The path of one object of each kind."""
    load_balancer = api.load_balancer()
    listener, pool = api.listener(load_balancer), api.pool_of(load_balancer)
    member, monitor = api.member(pool), api.health_monitor(pool)
    policy = api.create("/l7policies", "l7policy", listener_id=listener["id"], action="REJECT")
    rules = f"/l7policies/{policy['id']}/rules"
    rule = api.create(rules, "rule", type="PATH", compare_type="STARTS_WITH", value="/")
    return [
        f"{rules}/{rule['id']}",
        f"/l7policies/{policy['id']}",
        f"/pools/{pool['id']}/members/{member['id']}",
        f"/healthmonitors/{monitor['id']}",
        f"/listeners/{listener['id']}",
        f"/pools/{pool['id']}",
        f"/loadbalancers/{load_balancer['id']}",
    ]


def test_of_two_editors_with_one_tag_one_is_told(api: Api) -> None:
    path = f"/loadbalancers/{api.load_balancer()['id']}"
    read = tag(api, path)

    first = api.call("PUT", path, {"loadbalancer": {"name": "first"}}, headers={"If-Match": read})
    second = api.call("PUT", path, {"loadbalancer": {"name": "second"}}, headers={"If-Match": read})

    assert (first.status_code, second.status_code) == (200, 412)
    assert api.get(path)["loadbalancer"]["name"] == "first"
    assert first.headers["ETag"] == tag(api, path) != read


def test_a_status_that_changes_leaves_the_tag_alone(api: Api) -> None:
    load_balancer = api.load_balancer()
    path = f"/loadbalancers/{load_balancer['id']}"
    before = tag(api, path)

    api.confirm(load_balancer)
    api.listener(load_balancer)

    assert tag(api, path) == before


def test_a_listener_that_gets_a_default_pool_by_the_way_has_another_tag(api: Api) -> None:
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer)
    before = tag(api, f"/listeners/{listener['id']}")

    api.create("/pools", "pool", listener_id=listener["id"], protocol="HTTP", lb_algorithm="ROUND_ROBIN")

    assert tag(api, f"/listeners/{listener['id']}") != before


def test_a_stale_tag_keeps_from_deleting_everything(api: Api) -> None:
    for path in everything(api):
        query = "cascade=true" if path.startswith("/loadbalancers") else ""
        stale = api.call("DELETE", path, headers={"If-Match": '"0"'}, query_string=query)
        fresh = api.call("DELETE", path, headers={"If-Match": tag(api, path)}, query_string=query)

        assert (stale.status_code, fresh.status_code) == (412, 204), path


@pytest.mark.parametrize("said", ["*", '"0", {tag}'], ids=["anything", "one of several"])
def test_if_match_takes_several_tags_or_anything(api: Api, said: str) -> None:
    path = f"/loadbalancers/{api.load_balancer()['id']}"
    headers = {"If-Match": said.format(tag=tag(api, path))}

    assert api.call("PUT", path, {"loadbalancer": {}}, headers=headers).status_code == 200


def test_a_stale_tag_keeps_from_failing_over(api: Api) -> None:
    load_balancer = api.load_balancer()
    api.confirm(load_balancer)
    path = f"/loadbalancers/{load_balancer['id']}"
    before = tag(api, path)
    api.change(path, "loadbalancer", name="another")

    stale = api.call("PUT", f"{path}/failover", headers={"If-Match": before})
    fresh = api.call("PUT", f"{path}/failover", headers={"If-Match": tag(api, path)})

    assert (stale.status_code, fresh.status_code) == (412, 202)


def test_a_stale_tag_of_the_pool_keeps_from_replacing_its_members(api: Api) -> None:
    pool = api.pool_of(api.load_balancer())
    path = f"/pools/{pool['id']}"
    before = tag(api, path)
    api.change(path, "pool", name="another")
    batch = {"members": [{"address": "127.0.0.10", "protocol_port": 1}]}

    stale = api.call("PUT", f"{path}/members", batch, headers={"If-Match": before})
    after_stale = api.get(f"{path}/members")["members"]
    fresh = api.call("PUT", f"{path}/members", batch, headers={"If-Match": tag(api, path)})

    assert (stale.status_code, after_stale, fresh.status_code) == (412, [], 202)


# What operators set


def catalogue(api: Api) -> dict[str, str]:
    """Path of one entry of each kind -> the key of its object, those that need another first."""
    profile = api.create("/flavorprofiles", "flavorprofile", name="p", provider_name="amphora", flavor_data="{}")
    flavor = api.create("/flavors", "flavor", name="f", flavor_profile_id=profile["id"])
    of_zone = {"name": "p", "provider_name": "amphora", "availability_zone_data": "{}"}
    zone_profile = api.create("/availabilityzoneprofiles", "availability_zone_profile", **of_zone)
    api.create("/availabilityzones", "availability_zone", name="z", availability_zone_profile_id=zone_profile["id"])
    return {
        f"/flavors/{flavor['id']}": "flavor",
        f"/flavorprofiles/{profile['id']}": "flavorprofile",
        "/availabilityzones/z": "availability_zone",
        f"/availabilityzoneprofiles/{zone_profile['id']}": "availability_zone_profile",
        "/quotas/annals": "quota",
    }


def a_change_of(root: str) -> dict[str, Any]:
    named = {"quota": {"listener": 5}, "availability_zone": {"description": "another"}}
    return {root: named.get(root, {"name": "another"})}


def test_of_two_operators_with_one_tag_one_is_told(api: Api) -> None:
    for path, root in catalogue(api).items():
        read = tag(api, path)

        first = api.call("PUT", path, a_change_of(root), headers={"If-Match": read})
        second = api.call("PUT", path, a_change_of(root), headers={"If-Match": read})

        assert (first.status_code, second.status_code) == (202 if root == "quota" else 200, 412), path
        assert first.headers["ETag"] == tag(api, path) != read


def test_a_stale_tag_keeps_from_deleting_what_operators_set(api: Api) -> None:
    for path, root in catalogue(api).items():
        before = tag(api, path)
        api.call("PUT", path, a_change_of(root))

        stale = api.call("DELETE", path, headers={"If-Match": before})
        fresh = api.call("DELETE", path, headers={"If-Match": tag(api, path)})

        assert (stale.status_code, fresh.status_code) == (412, 202 if root == "quota" else 204), path


def test_a_new_entry_is_answered_with_its_tag(api: Api) -> None:
    body = {"flavorprofile": {"name": "p", "provider_name": "amphora", "flavor_data": "{}"}}

    made = api.call("POST", "/flavorprofiles", body)

    assert made.headers["ETag"] == tag(api, f"/flavorprofiles/{made.json['flavorprofile']['id']}")


@pytest.mark.parametrize("kind", ["flavor", "availability_zone"])
def test_null_is_refused_to_those_alone_who_may_change_a_profile(api: Api, kind: str) -> None:
    (path,) = (path for path, root in catalogue(api).items() if root in (f"{kind}profile", f"{kind}_profile"))
    root = "flavorprofile" if kind == "flavor" else "availability_zone_profile"
    reader = {"X-Identity-Status": "Confirmed", "X-Roles": "reader", "X-Project-Id": "p"}

    for name in ("name", "provider_name", f"{kind}_data"):
        allowed = api.refused(400, "PUT", path, {root: {name: None}})
        forbidden = api.refused(403, "PUT", path, {root: {name: None}}, headers=reader)

        assert allowed == f"None is not a valid option for {name}"
        assert forbidden == "Policy does not allow this request to be performed."


# Dry runs


def log(api: Api) -> tuple[Any, ...]:
    """Whatever a change would leave behind."""
    with api.pool.connection() as connection:
        sql = """SELECT (SELECT count(*) FROM tacitus_events), (SELECT count(*) FROM commits),
                        (SELECT count(*) FROM load_balancers), (SELECT count(*) FROM addresses),
                        (SELECT count(*) FROM quota_uses), (SELECT count(*) FROM idempotency)"""
        found = connection.execute(sql).fetchone()
    assert found is not None
    return tuple(found)


def test_a_dry_creation_says_what_would_happen_and_does_nothing(api: Api) -> None:
    before = log(api)
    body = {"loadbalancer": {"vip_subnet_id": str(VIP_SUBNET.id), "name": "maybe"}}

    result = api.call("POST", "/loadbalancers", body, query_string="dry_run=true")

    assert result.status_code == 200
    assert result.json["loadbalancer"]["name"] == "maybe"
    assert result.json["dry_run"]["verdict"] == "accepted"
    assert [event["type"] for event in result.json["dry_run"]["events"]] == ["LoadBalancerCreated", "AmphoraRequested"]
    assert log(api) == before


def test_dry_changes_and_deletions_of_everything_do_nothing(api: Api) -> None:
    paths = everything(api)
    before = log(api)

    for path in paths:
        deleted = api.call(
            "DELETE", path, query_string="dry_run=true&cascade=true" if "balancers" in path else "dry_run=1"
        )
        assert (deleted.status_code, deleted.json["dry_run"]["verdict"]) == (200, "accepted"), path

    assert log(api) == before
    assert all(api.call("GET", path).status_code == 200 for path in paths)


def test_what_would_be_refused_is_refused_dry_too(api: Api) -> None:
    load_balancer = api.load_balancer()
    api.listener(load_balancer)
    again = {"listener": {"loadbalancer_id": load_balancer["id"], "protocol": "HTTP", "protocol_port": 80}}

    text = api.refused(409, "POST", "/listeners", again, query_string="dry_run=true")

    assert "already using" in text


def test_a_dry_batch_names_its_events(api: Api) -> None:
    pool = api.pool_of(api.load_balancer())
    batch = {"members": [{"address": "127.0.0.10", "protocol_port": 1}, {"address": "127.0.0.10", "protocol_port": 2}]}
    before = log(api)

    result = api.call("PUT", f"/pools/{pool['id']}/members", batch, query_string="dry_run=true")

    (event,) = result.json["dry_run"]["events"]
    assert (event["type"], len(event["data"]["batch"]["added"])) == ("MembersChanged", 2)
    assert log(api) == before
