"""A request whose answer was lost is repeated with its key: one object, one port.

`./dev prove lost` makes 1,000 trials.
"""

from random import Random

import pytest

from tests.api.lost_answers import Trials

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def test_processes_that_die_before_they_answer_leave_one_object_for_each_key(database: str) -> None:
    assert Trials(database).run(24, Random(1)) == []
