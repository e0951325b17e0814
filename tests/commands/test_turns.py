"""How often a command is decided again while others are faster."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from commands.turns import Turns
from domain.errors import ConcurrentChange


class NothingRecorded:
    def was_carried_out(self, command_id: UUID) -> bool:
        return False


def outrun(times: int, tried: list[None]) -> Callable[[], str]:
    def decide_and_save() -> str:
        tried.append(None)
        if len(tried) <= times:
            raise ConcurrentChange
        return "saved"

    return decide_and_save


def test_command_that_waited_out_all_patience_is_still_decided_again() -> None:
    turns = Turns(NothingRecorded(), patience_seconds=0)

    assert turns.take(uuid4(), uuid4(), outrun(2, [])) == "saved"


def test_command_that_is_outrun_for_too_long_is_given_up() -> None:
    tried: list[None] = []

    with pytest.raises(ConcurrentChange):
        Turns(NothingRecorded(), patience_seconds=0.02).take(uuid4(), uuid4(), outrun(1_000_000, tried))

    assert len(tried) >= 3


def test_command_is_outrun_as_often_as_its_patience_allows() -> None:
    assert Turns(NothingRecorded()).take(uuid4(), uuid4(), outrun(12, [])) == "saved"
