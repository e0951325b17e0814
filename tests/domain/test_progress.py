"""The rules of derived status, under random histories and one by one."""

from random import Random

import pytest

from tests.domain.history import History

SEEDS = range(400)


@pytest.mark.parametrize("first", range(0, 400, 50))
def test_random_histories_never_show_what_does_not_run_and_come_to_rest(first: int) -> None:
    for seed in range(first, first + 50):
        history = History(Random(seed))
        try:
            history.run(steps=60)
            history.settle()
            history.check_at_rest()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
