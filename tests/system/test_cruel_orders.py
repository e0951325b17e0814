"""Orders that nobody sane gives, and what an unlucky machine adds to them."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.system.api import Document, Refused, until
from tests.system.backends import backends
from tests.system.conftest import a_state_directory
from tests.system.scenarios.crowd import weights_of
from tests.system.service import Service
from tests.system.site import PORT, Site, a_site
from tests.system.small_disk import fill, small_disk

pytestmark = [pytest.mark.amphora, pytest.mark.postgres, pytest.mark.slow]


def test_a_load_balancer_may_be_deleted_while_it_is_being_created(service: Service) -> None:
    made = service.api.create_load_balancer()

    service.api.delete_load_balancer(made["id"])

    service.assert_nothing_is_left()


def test_deleting_twice_deletes_once(service: Service) -> None:
    site = a_site(service.api, [])

    service.api.delete(f"/loadbalancers/{site.id}?cascade=true")
    with pytest.raises(Refused) as second:
        service.api.delete(f"/loadbalancers/{site.id}?cascade=true")
    service.api.wait_until_gone(f"/loadbalancers/{site.id}")

    assert second.value.status in (404, 409)
    assert service.events(site.id)["LoadBalancerDeleted"] == 1


def test_a_load_balancer_may_be_deleted_while_a_member_change_is_pending(service: Service) -> None:
    site = a_site(service.api, [])
    member = site.add_member(address="127.0.2.1", protocol_port=9_000)

    site.change_member(member, weight=7)
    service.api.delete_load_balancer(site.id)

    service.assert_nothing_is_left()


def test_a_member_cannot_be_changed_while_its_pool_is_being_deleted(service: Service) -> None:
    site = a_site(service.api, [])
    member = site.add_member(address="127.0.2.1", protocol_port=9_000)
    site.wait()

    with _amphora_stopped(service, site):
        service.api.delete(f"/pools/{site.pool_id}")
        with pytest.raises(Refused) as refused:
            site.change_member(member, weight=7)

    assert refused.value.status == 409
    service.api.wait_until_gone(f"/pools/{site.pool_id}")
    site.wait()


def test_the_port_of_a_listener_that_is_being_deleted_is_free_at_once(service: Service) -> None:
    with backends("127.0.1.1") as members:
        site = a_site(service.api, members)

        with _amphora_stopped(service, site):
            service.api.delete(f"/listeners/{site.listener_id}")
            service.api.post(
                "/listeners",
                "listener",
                loadbalancer_id=site.id,
                protocol="HTTP",
                protocol_port=PORT,
                default_pool_id=site.pool_id,
            )
        service.api.wait_until_gone(f"/listeners/{site.listener_id}")
        site.wait()

        site.wait_until_it_serves()


def test_a_member_named_twice_in_a_batch_changes_nothing(service: Service) -> None:
    site = a_site(service.api, [])
    one = {"address": "127.0.2.1", "protocol_port": 9_000}
    before = service.events(site.id)

    with pytest.raises(Refused) as refused:
        service.api.put(site.members_path, "members", [one, {**one, "weight": 3}])

    assert refused.value.status in (400, 409)
    assert service.api.get(site.members_path) == []
    assert service.events(site.id) == before


def test_a_port_that_is_taken_is_that_listeners_error_and_heals_when_it_is_free(service: Service) -> None:
    with backends("127.0.1.1") as members:
        site = a_site(service.api, members)
        with closing(socket.create_server((site.vip, 9_090))):
            listener = _listener(site, 9_090)
            until(lambda: _shown(site, listener) == "ERROR", 20, "the listener to be ERROR")

            ((words,),) = service.query("SELECT reason FROM listeners WHERE id = %s", listener)
            assert "9090" in words, words
            site.wait()  # the load balancer itself does not become ERROR
            site.wait_until_it_serves()

        service.api.put(f"/listeners/{listener}", "listener", {"name": "again"})

        until(lambda: _shown(site, listener) == "ACTIVE", 20, "the listener to be ACTIVE")


@pytest.mark.timeout(180)
def test_a_change_that_no_amphora_takes_is_error_after_its_deadline_and_heals(own_service: Service) -> None:
    """Nobody watches over health meanwhile, or the amphora would be replaced."""
    site = a_site(own_service.api, [])
    member = site.add_member(address="127.0.2.1", protocol_port=9_000)
    site.wait()
    with _stopped(_health_manager(own_service)), _amphora_stopped(own_service, site):
        site.change_member(member, weight=7)
        assert _member(site, member)["provisioning_status"] == "PENDING_UPDATE"

        until(lambda: _member(site, member)["provisioning_status"] == "ERROR", 100, "the member to be ERROR", pause=0.5)

    until(lambda: _member(site, member)["provisioning_status"] == "ACTIVE", 30, "the member to be ACTIVE again")
    assert weights_of(own_service.configuration_of(site.id)) == {member: 7}
    own_service.api.delete_load_balancer(site.id)
    own_service.assert_nothing_is_left()


@pytest.mark.timeout(180)
def test_haproxy_that_does_not_come_up_makes_a_change_error_in_its_own_words_and_heals(service: Service) -> None:
    """The agent's check finds nothing wrong, since it opens no socket: a directory lies where HAProxy's should be."""
    with backends("127.0.1.1") as members:
        site = a_site(service.api, members)
        with _haproxy_that_cannot_start(service, site):
            site.change_member(site.members[0], weight=7)
            assert _member(site, site.members[0])["provisioning_status"] == "PENDING_UPDATE"
            until(lambda: _failures(service) > 0, 20, "a push to fail")
            assert _member(site, site.members[0])["provisioning_status"] == "PENDING_UPDATE"

            until(lambda: _member(site, site.members[0])["provisioning_status"] == "ERROR", 100, "ERROR", pause=0.5)

            assert "UNIX socket" in _why_late(service, site)

        site.wait_until_it_serves()
        until(lambda: _member(site, site.members[0])["provisioning_status"] == "ACTIVE", 30, "ACTIVE", pause=0.1)
        site.wait()
        assert weights_of(service.configuration_of(site.id)) == {site.members[0]: 7}
        assert service.events(site.id)["AmphoraReplaced"] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_full_disk_of_an_amphora_keeps_old_settings_running_and_heals() -> None:
    with a_state_directory() as directory, small_disk(directory / "state/amphorae", "8m") as disk:
        service = Service(directory / "state")
        try:
            service.start()
            with backends("127.0.1.1") as members:
                site = a_site(service.api, members)
                ballast = fill(disk)

                site.change_member(site.members[0], weight=7)
                until(lambda: _failures(service) > 0, 20, "a push to fail")
                site.wait_until_it_serves()
                assert _member(site, site.members[0])["provisioning_status"] == "PENDING_UPDATE"

                ballast.unlink()
                site.wait()
                assert weights_of(service.configuration_of(site.id)) == {site.members[0]: 7}
                service.api.delete_load_balancer(site.id)
            service.assert_nothing_is_left()
            service.stop()
        finally:
            service.clean_up()


# What makes a machine unlucky


@contextmanager
def _stopped(pids: list[int]) -> Iterator[None]:
    """They answer nothing for as long as this lasts."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def _amphora_stopped(service: Service, site: Site) -> Iterator[None]:
    """Its agent answers nothing; what is asked for meanwhile is surely still pending."""
    with _stopped(service.processes_of_amphora(service.amphora_of(site.id), "python")):
        yield


@contextmanager
def _haproxy_that_cannot_start(service: Service, site: Site) -> Iterator[None]:
    """A new master finds a directory in the place of its socket, and ends at once; again and again."""
    amphora = service.amphora_of(site.id)
    (obstacle,) = (service.amphorae / amphora).rglob("*.cli")
    obstacle.unlink()
    obstacle.mkdir()
    for pid in service.processes_of_amphora(amphora, "haproxy"):
        os.kill(pid, signal.SIGKILL)
    try:
        yield
    finally:
        obstacle.rmdir()


def _health_manager(service: Service) -> list[int]:
    return [service.service_process("health-manager")]


def _failures(service: Service) -> int:
    return sum(failures for _, _, failures, _ in service.pending_actions())


def _why_late(service: Service, site: Site) -> str:
    """What the log says of a deadline that passed."""
    ((state,),) = service.query(
        "SELECT state FROM tacitus_events WHERE originator_id = %s AND topic = 'LoadBalancerDeadlinePassed'", site.id
    )
    return bytes(state).decode()


def _listener(site: Site, port: int) -> str:
    made = site.api.post("/listeners", "listener", loadbalancer_id=site.id, protocol="HTTP", protocol_port=port)
    return str(made["id"])


def _shown(site: Site, listener_id: str) -> str:
    return str(site.api.get(f"/listeners/{listener_id}")["provisioning_status"])


def _member(site: Site, id: str) -> Document:
    found: Document = site.api.get(f"{site.members_path}/{id}")
    return found
