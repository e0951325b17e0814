"""The providers that load balancers are made with: which there are, what they can be told, and what they refuse."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from falcon import Request, Response

from commands.answer import answer
from commands.request import caller_of
from domain.errors import Invalid, ProviderFailed, ProviderNotFound, ProviderUnsupported


class DriverError(Exception):
    """A driver's no.

    provider  what the user is told to be the provider's name, None for that under which it is enabled
    """

    def __init__(self, words: str, *, provider: str | None = None) -> None:
        super().__init__(words)
        self.provider = provider


class UnsupportedOption(DriverError):
    """A driver cannot do it this way."""


class UnsupportedAction(DriverError):
    """A driver cannot do it at all."""

    def __init__(
        self, words: str = "This feature is not implemented by the provider.", *, provider: str | None = None
    ) -> None:
        super().__init__(words, provider=provider)


class DriverFailure(DriverError):
    """A driver could not say whether it can."""


class ProviderDriver(Protocol):
    """What stands behind a provider's name: the questions of octavia-lib's driver interface, by their names there.

    Each method raises UnsupportedOption, UnsupportedAction or DriverFailure, whose words are the user's.
    """

    def ask(self, method: str, values: Sequence[object]) -> None:
        """Refuse a change that was accepted otherwise, or let it pass.

        method  "listener_create", "pool_update", "member_batch_update" ...
        values  of a creation the object; of an update the object as it is to be; of a deletion its id. An L7 policy
                comes with its listener, since it depends on it.
        """
        ...

    @property
    def keeps_amphorae(self) -> bool:
        """Whether load balancers stand on amphorae; otherwise the driver itself says when it is done."""
        ...

    def flavor_capabilities(self) -> Mapping[str, str]:
        """What may stand in the data of a flavor profile: key -> description."""
        ...

    def zone_capabilities(self) -> Mapping[str, str]:
        """What may stand in the data of an availability zone profile: key -> description."""
        ...

    def require_flavor_data(self, data: object) -> None:
        """data: as it was in JSON"""
        ...

    def require_zone_data(self, data: object) -> None: ...


@dataclass(frozen=True)
class Provider:
    """One provider as it is listed."""

    name: str
    description: str


class Providers:
    """The providers of a deployment, in the operator's order.

    enabled  name -> description
    default  what a load balancer is made with when nobody says anything
    drivers  name -> driver; a provider that is enabled and has none is not listed
    """

    def __init__(self, enabled: Mapping[str, str], default: str, drivers: Mapping[str, ProviderDriver]) -> None:
        self._enabled = MappingProxyType(dict(enabled))
        self._drivers = MappingProxyType(dict(drivers))
        self.default = default

    def listed(self) -> Sequence[Provider]:
        return [Provider(name, text) for name, text in self._enabled.items() if name in self._drivers]

    def require_enabled(self, name: str) -> None:
        """Raises Invalid, and ProviderNotFound for one that is enabled but not there."""
        self._driver(name)

    def _driver(self, name: str) -> ProviderDriver:
        if name not in self._enabled:
            raise Invalid(f"Provider '{name}' is not enabled.")
        if name not in self._drivers:
            raise ProviderNotFound(name)
        return self._drivers[name]

    def ask(self, provider: str, method: str, *values: object) -> None:
        """Raises ProviderUnsupported, ProviderFailed, ProviderNotFound.

        A provider that an operator disabled goes on with the load balancers that it has.
        """
        if provider not in self._drivers:
            raise ProviderNotFound(provider)
        with _told_as(provider):
            self._drivers[provider].ask(method, values)

    def keeps_amphorae(self, name: str) -> bool:
        return self._driver(name).keeps_amphorae

    def flavor_capabilities(self, name: str) -> Mapping[str, str]:
        driver = self._driver(name)
        with _told_as(name):
            return driver.flavor_capabilities()

    def zone_capabilities(self, name: str) -> Mapping[str, str]:
        driver = self._driver(name)
        with _told_as(name):
            return driver.zone_capabilities()

    def require_flavor_data(self, name: str, data: object) -> None:
        """Raises what require_enabled and ask name."""
        driver = self._driver(name)
        with _told_as(name):
            driver.require_flavor_data(data)

    def require_zone_data(self, name: str, data: object) -> None:
        driver = self._driver(name)
        with _told_as(name):
            driver.require_zone_data(data)


@contextmanager
def _told_as(provider: str) -> Iterator[None]:
    """Drivers do not know under which name they are enabled."""
    try:
        yield
    except UnsupportedOption as error:
        raise ProviderUnsupported(error.provider or provider, "option", str(error)) from error
    except UnsupportedAction as error:
        raise ProviderUnsupported(error.provider or provider, "action", str(error)) from error
    except DriverFailure as error:
        raise ProviderFailed(error.provider or provider, str(error)) from error


class ProvidersResource:
    """Answers `GET /providers`; of the query string only `fields` means anything, and there are no pages."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers

    def on_get(self, req: Request, resp: Response) -> None:
        caller = caller_of(req)
        caller.require("provider:get_all", caller.project_id)
        shown = [{"name": each.name, "description": each.description} for each in self._providers.listed()]
        answer(resp, {"providers": _selected(req, shown)})


class ProviderResource:
    """A single provider has nothing to show: no method is allowed on it."""


class FlavorCapabilitiesResource:
    """Answers `GET /providers/{name}/flavor_capabilities`."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers

    def on_get(self, req: Request, resp: Response, name: str) -> None:
        caller = caller_of(req)
        caller.require("provider-flavor:get_all", caller.project_id)
        answer(resp, {"flavor_capabilities": _capabilities(req, self._providers.flavor_capabilities(name))})


class ZoneCapabilitiesResource:
    """Answers `GET /providers/{name}/availability_zone_capabilities`."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers

    def on_get(self, req: Request, resp: Response, name: str) -> None:
        caller = caller_of(req)
        caller.require("provider-availability-zone:get_all", caller.project_id)
        answer(resp, {"availability_zone_capabilities": _capabilities(req, self._providers.zone_capabilities(name))})


def _capabilities(req: Request, capabilities: Mapping[str, str]) -> list[dict[str, str]]:
    """Filtered by name and description; other filters mean nothing here."""
    shown = [{"name": name, "description": text} for name, text in capabilities.items()]
    wanted = {key: _all(req, key) for key in ("name", "description") if key in req.params}
    found = [each for each in shown if all({each[key]} == set(values) for key, values in wanted.items())]
    return _selected(req, found)


def _selected(req: Request, shown: list[dict[str, str]]) -> list[dict[str, str]]:
    if "fields" not in req.params:
        return shown
    names = _all(req, "fields")
    return [{name: value for name, value in each.items() if name in names} for each in shown]


def _all(req: Request, argument: str) -> Sequence[str]:
    said = req.params[argument]
    return [said] if isinstance(said, str) else said
