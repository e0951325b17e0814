"""The clients that operators and tenants have, unmodified, against a running service of the noop profile."""

import logging
import warnings
from collections.abc import Iterator

import pytest

from tests.clients.openstack_command import OpenStack
from tests.clients.sdk import LoadBalancing
from tests.clients.tree import Tree, a_tree
from tests.noop.conftest import Noop, noop, noop_service

__all__ = ["noop", "noop_service"]


@pytest.fixture
def openstack(noop: Noop, request: pytest.FixtureRequest) -> Iterator[OpenStack]:
    """It leaves the logging of the process as it was, which the command takes for its own."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    client = OpenStack(f"http://127.0.0.1:{noop.service.port}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield client
    root.handlers[:] = handlers
    root.setLevel(level)
    left_out = {command: client.left_out(command) for command in getattr(request.function, "commands", ())}
    assert not any(left_out.values()), f"options that have no case: {left_out}"


@pytest.fixture
def sdk(noop: Noop, request: pytest.FixtureRequest) -> Iterator[LoadBalancing]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = LoadBalancing(f"http://127.0.0.1:{noop.service.port}")
        yield client
    assert set(getattr(request.function, "methods", ())) <= client.called


@pytest.fixture
def tree(noop: Noop) -> Tree:
    return a_tree(noop)
