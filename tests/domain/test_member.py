"""What tells members of a pool apart."""

from uuid import uuid4

from domain.member import Member, VnicType
from tests.given import a_member, a_pool


def test_members_are_told_apart_by_address_and_port() -> None:
    member = a_member(a_pool(), address="10.0.0.1", protocol_port=80)

    assert member.socket == ("10.0.0.1", 80)


def test_addresses_are_compared_as_they_were_written() -> None:
    pool = a_pool()

    assert a_member(pool, address="2001:db8::1").socket != a_member(pool, address="2001:DB8::1").socket


def test_a_member_of_whom_nothing_was_said_takes_its_share_of_the_traffic() -> None:
    member = Member(id=uuid4(), pool_id=uuid4(), address="10.0.0.1", protocol_port=80)

    assert (member.weight, member.backup, member.admin_state_up) == (1, False, True)
    assert (member.subnet_id, member.monitor_address, member.monitor_port) == (None, None, None)
    assert member.vnic_type == VnicType.NORMAL
