"""The unmodified openstacksdk, and a record of what was called of it.

A test says with `@calls("create_listener")` which methods of `conn.load_balancer` it is about. The fixture `sdk` then
checks that it called them.
"""

import inspect
import warnings
from collections.abc import Callable
from typing import Any

with warnings.catch_warnings():  # of its own parts
    warnings.simplefilter("ignore")
    from openstack.connection import Connection
    from openstack.load_balancer.v2._proxy import Proxy

COVERED: set[str] = set()
"""Every method that some test is about."""


def calls(*methods: str) -> Callable[[Any], Any]:
    """Marks a test as the one of these methods."""

    def mark(test: Any) -> Any:
        COVERED.update(methods)
        test.methods = methods
        return test

    return mark


def public_methods() -> set[str]:
    """Those that `conn.load_balancer` has of its own, not those of every service."""
    return {name for name, value in vars(Proxy).items() if inspect.isfunction(value) and not name.startswith("_")}


class LoadBalancing:
    """`conn.load_balancer`, which notes what is called. Without a Keystone, the endpoint is the service's own root."""

    def __init__(self, endpoint: str) -> None:
        self.called: set[str] = set()
        self._connection = Connection(auth_type="none", endpoint=endpoint)

    def __getattr__(self, name: str) -> Any:
        self.called.add(name)
        return getattr(self._connection.load_balancer, name)
