"""What every AmphoraDriver has to do: inherit from AmphoraDriverContract and provide the fixtures it names."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from uuid import UUID, uuid4

import pytest

from amphora.driver import (
    AmphoraAddress,
    AmphoraDriver,
    AmphoraUnreachable,
    ConfigurationRefused,
    OutdatedConfiguration,
    VipPlug,
)

Render = Callable[[int], str]


class AmphoraDriverContract:
    """Fixtures to provide:

    driver            the driver
    amphora           an amphora that it reaches, without a configuration
    nowhere           one that it does not reach
    load_balancer_id  that amphora's load balancer
    render            revision -> a configuration that the amphora takes, stamped with that revision
    wrong             revision -> one that it refuses
    """

    def test_agent_says_who_it_is(self, driver: AmphoraDriver, amphora: AmphoraAddress) -> None:
        info = driver.info(amphora)

        assert info.api_version == "1.0"
        assert info.haproxy_version
        assert info.boot_id == driver.info(amphora).boot_id

    def test_vip_is_plugged_and_may_be_plugged_again(self, driver: AmphoraDriver, amphora: AmphoraAddress) -> None:
        plug = VipPlug(vip_address="127.20.0.1", subnet_cidr="127.20.0.0/24", mac_address="fa:16:3e:00:00:01")

        driver.plug_vip(amphora, plug)
        driver.plug_vip(amphora, plug)

    def test_configuration_is_loaded_and_told_by_its_checksum(
        self, driver: AmphoraDriver, amphora: AmphoraAddress, load_balancer_id: UUID, render: Render
    ) -> None:
        checksums = [driver.load_configuration(amphora, load_balancer_id, render(number), number) for number in (1, 2)]

        assert checksums == [sha256(render(number).encode()).hexdigest() for number in (1, 2)]

    def test_loading_may_be_repeated(
        self, driver: AmphoraDriver, amphora: AmphoraAddress, load_balancer_id: UUID, render: Render
    ) -> None:
        first = driver.load_configuration(amphora, load_balancer_id, render(1), 1)

        assert driver.load_configuration(amphora, load_balancer_id, render(1), 1) == first

    def test_older_revision_is_outdated(
        self, driver: AmphoraDriver, amphora: AmphoraAddress, load_balancer_id: UUID, render: Render
    ) -> None:
        driver.load_configuration(amphora, load_balancer_id, render(5), 5)

        with pytest.raises(OutdatedConfiguration):
            driver.load_configuration(amphora, load_balancer_id, render(4), 4)

    def test_configuration_that_cannot_run_is_refused_with_words(
        self, driver: AmphoraDriver, amphora: AmphoraAddress, load_balancer_id: UUID, render: Render, wrong: Render
    ) -> None:
        driver.load_configuration(amphora, load_balancer_id, render(1), 1)

        with pytest.raises(ConfigurationRefused) as refused:
            driver.load_configuration(amphora, load_balancer_id, wrong(2), 2)

        assert refused.value.words
        driver.load_configuration(amphora, load_balancer_id, render(2), 2)  # what was refused left no trace

    def test_check_refuses_the_same_and_loads_nothing(
        self, driver: AmphoraDriver, amphora: AmphoraAddress, load_balancer_id: UUID, render: Render, wrong: Render
    ) -> None:
        driver.check_configuration(amphora, load_balancer_id, render(9))
        with pytest.raises(ConfigurationRefused):
            driver.check_configuration(amphora, load_balancer_id, wrong(9))

        driver.load_configuration(amphora, load_balancer_id, render(1), 1)  # 9 would have made it outdated

    def test_revision_must_be_that_of_the_file(
        self, driver: AmphoraDriver, amphora: AmphoraAddress, load_balancer_id: UUID, render: Render
    ) -> None:
        with pytest.raises(ValueError, match="revision"):
            driver.load_configuration(amphora, load_balancer_id, render(1), 2)

    def test_configuration_that_is_held_is_told_word_for_word(
        self, driver: AmphoraDriver, amphora: AmphoraAddress, load_balancer_id: UUID, render: Render
    ) -> None:
        assert driver.configuration(amphora, load_balancer_id) is None
        driver.load_configuration(amphora, load_balancer_id, render(5), 5)

        assert driver.configuration(amphora, load_balancer_id) == render(5)

        driver.remove_configuration(amphora, load_balancer_id)
        assert driver.configuration(amphora, load_balancer_id) is None

    def test_configuration_is_removed_and_may_be_removed_again(
        self, driver: AmphoraDriver, amphora: AmphoraAddress, load_balancer_id: UUID, render: Render
    ) -> None:
        driver.load_configuration(amphora, load_balancer_id, render(5), 5)

        driver.remove_configuration(amphora, load_balancer_id)
        driver.remove_configuration(amphora, load_balancer_id)

        driver.load_configuration(amphora, load_balancer_id, render(1), 1)

    def test_amphora_that_does_not_answer_is_unreachable(
        self, driver: AmphoraDriver, nowhere: AmphoraAddress, load_balancer_id: UUID, render: Render
    ) -> None:
        with pytest.raises(AmphoraUnreachable):
            driver.info(nowhere)
        with pytest.raises(AmphoraUnreachable):
            driver.load_configuration(nowhere, load_balancer_id, render(1), 1)
        with pytest.raises(AmphoraUnreachable):
            driver.configuration(nowhere, load_balancer_id)


def another(amphora: AmphoraAddress) -> AmphoraAddress:
    """Another amphora's id at the same place: its certificate has the wrong name."""
    return replace(amphora, amphora_id=uuid4())
