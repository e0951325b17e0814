"""What may be done to a load balancer as a whole and when: locks, deletion, failover, a life without amphorae."""

from dataclasses import replace
from uuid import uuid4

import pytest

from domain.errors import (
    HasChildren,
    Immutable,
    InvalidState,
)
from domain.fields import ProvisioningStatus
from domain.load_balancer_events import LoadBalancerSettings
from tests.domain.planted import Planted
from tests.given import (
    a_listener,
    a_load_balancer,
    an_active_load_balancer,
    confirm,
    refuse,
)

ACTIVE, ERROR = ProvisioningStatus.ACTIVE, ProvisioningStatus.ERROR
PENDING_CREATE, PENDING_UPDATE = ProvisioningStatus.PENDING_CREATE, ProvisioningStatus.PENDING_UPDATE
PENDING_DELETE = ProvisioningStatus.PENDING_DELETE
VF = "Validation failure: "


@pytest.fixture
def planted() -> Planted:
    return Planted()


# Locks of old


def test_at_rest_is_what_is_active_with_all_that_is_named(planted: Planted) -> None:
    planted.load_balancer.require_at_rest([planted.pool.id, planted.policy.id])
    planted.load_balancer.require_state(ACTIVE)


def test_what_is_not_there_does_not_disturb_rest(planted: Planted) -> None:
    planted.load_balancer.require_at_rest([uuid4()])


@pytest.mark.parametrize(("name", "title"), [("pool", "Pool"), ("policy", "L7Policy")])
def test_what_is_refused_is_not_at_rest(planted: Planted, name: str, title: str) -> None:
    it, thing = planted.load_balancer, getattr(planted, name)
    {"pool": it.change_pool, "policy": it.change_l7_policy}[name](replace(thing, name="bad"))
    refuse(it, thing.id)
    assert it.provisioning_status == ACTIVE

    with pytest.raises(Immutable) as refusal:
        it.require_at_rest([thing.id])

    assert str(refusal.value) == f"{title} {thing.id} is immutable and cannot be updated."


def test_a_state_that_is_not_allowed_is_named(planted: Planted) -> None:
    planted.load_balancer.change(LoadBalancerSettings(name="new"))

    with pytest.raises(InvalidState) as refusal:
        planted.load_balancer.require_state(ACTIVE, ERROR)

    assert str(refusal.value) == f"Invalid state PENDING_UPDATE of loadbalancer resource {planted.load_balancer.id}"


def test_changes_that_wait_are_counted_until_they_run() -> None:
    it = an_active_load_balancer()
    for _ in range(3):
        it.change(it.settings)
    waiting = it.unapplied_changes

    confirm(it)

    assert (waiting, it.unapplied_changes) == (3, 0)


# Deletion


def test_load_balancer_with_children_is_deleted_with_them_only(planted: Planted) -> None:
    it = planted.load_balancer

    with pytest.raises(HasChildren) as refusal:
        it.delete(cascade=False)
    it.delete(cascade=True)

    assert str(refusal.value) == f"{VF}Cannot delete Load Balancer {it.id} - it has children"
    assert it.provisioning_status == PENDING_DELETE
    assert it.status_of(planted.pool.id) == ACTIVE, "children keep their states"


def test_load_balancer_without_children_is_deleted() -> None:
    it = an_active_load_balancer()

    it.delete(cascade=False)

    assert it.provisioning_status == PENDING_DELETE


def test_load_balancer_that_is_being_deleted_is_deleted_once(planted: Planted) -> None:
    it = planted.load_balancer
    it.delete(cascade=True)

    with pytest.raises(HasChildren):
        it.delete(cascade=False)
    with pytest.raises(InvalidState) as refusal:
        it.delete(cascade=True)
    assert str(refusal.value) == f"Invalid state PENDING_DELETE of loadbalancer resource {it.id}"


def test_deletion_that_is_overdue_can_be_asked_for_again(planted: Planted) -> None:
    it = planted.load_balancer
    it.delete(cascade=True)
    it.deletion_is_overdue("release the VIP", "no answer")
    assert it.provisioning_status == ERROR

    it.delete(cascade=True)

    assert it.provisioning_status == PENDING_DELETE


# Failover


def test_failover_is_one_at_a_time() -> None:
    first, second = uuid4(), uuid4()
    it = an_active_load_balancer(amphora_ids=(first,))
    it.request_failover()
    it.replace_amphora(first, second, "failover was asked for")
    assert it.provisioning_status == PENDING_UPDATE

    with pytest.raises(InvalidState) as refusal:
        it.request_failover()

    assert str(refusal.value) == f"Invalid state PENDING_UPDATE of loadbalancer resource {it.id}"
    confirm(it)
    it.request_failover()


def test_failover_waits_for_the_first_amphora() -> None:
    with pytest.raises(InvalidState):
        a_load_balancer().request_failover()


def test_failover_gets_a_load_balancer_out_of_error_although_no_amphora_serves() -> None:
    amphora_id = uuid4()
    it = a_load_balancer(amphora_ids=(amphora_id,))
    it.amphora_has_failed(amphora_id, "boot", "no host")
    assert it.provisioning_status == ERROR

    it.request_failover()

    assert it.provisioning_status == PENDING_CREATE


def test_failover_is_refused_while_the_load_balancer_is_being_deleted() -> None:
    it = an_active_load_balancer()
    it.delete(cascade=True)

    with pytest.raises(InvalidState):
        it.request_failover()


# Without amphorae


def test_provider_without_amphorae_confirms_under_the_load_balancers_own_id() -> None:
    it = a_load_balancer(amphora_ids=())
    it.add_listener(a_listener())

    it.configuration_is_applied(uuid4(), it.revision, "")
    assert it.provisioning_status == PENDING_CREATE
    it.configuration_is_applied(it.id, it.revision, "")

    assert it.provisioning_status == ACTIVE


def test_load_balancer_with_amphorae_does_not_confirm_itself() -> None:
    it = a_load_balancer()

    it.configuration_is_applied(it.id, it.revision, "")

    assert it.provisioning_status == PENDING_CREATE


def test_last_amphora_that_goes_does_not_make_the_load_balancer_one_without() -> None:
    amphora_id = uuid4()
    it = an_active_load_balancer(amphora_ids=(amphora_id,))
    it.delete(cascade=True)
    it.amphora_is_gone(amphora_id)

    assert not it.runs_on(it.id)
