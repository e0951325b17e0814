"""Profiles: what a provider is told. It has to understand it, and while it is in use it stays as it is."""

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

import msgspec

from commands.answer import Row, View
from commands.catalogue import EntriesResource, EntryHandler, EntryResource, Settings
from commands.request import id_in_url
from domain.errors import InUse, NotAnOption, NotFound

_NIL = UUID(int=0)


class ProfileRules(Protocol):
    """What tells flavor profiles from those of availability zones.

    data           the attribute that holds the JSON document
    data_if_wrong  what it is called in the error text of a change
    deleted_title  the title in the error text of a deletion
    """

    @property
    def data(self) -> str: ...

    @property
    def data_if_wrong(self) -> str: ...

    @property
    def deleted_title(self) -> str: ...

    def is_used(self, id: UUID) -> bool: ...

    def require_understood(self, provider: str, data: object) -> None:
        """Raises Invalid for a provider that is not enabled, ProviderUnsupported, ProviderFailed, ProviderNotFound."""
        ...


class ProfilesResource(EntriesResource):
    """Makes profiles."""

    def __init__(self, handler: EntryHandler, view: View, rules: ProfileRules) -> None:
        super().__init__(handler, view)
        self._rules = rules

    def require_allowed(self, settings: Settings) -> None:
        data = _json(getattr(settings, self._rules.data), self._rules.data)
        self._rules.require_understood(settings.provider_name, data)


class ProfileResource(EntryResource):
    """Changes and deletes a profile."""

    def __init__(self, handler: EntryHandler, view: View, rules: ProfileRules) -> None:
        super().__init__(handler, view)
        self._rules = rules

    def require_change_allowed(self, id: str, changes: Mapping[str, Any]) -> None:
        """In the contract's order: in use, hidden, no JSON, not there, not understood."""
        rules = self._rules
        told = changes.keys() & {"provider_name", rules.data}
        if told and _is_used(rules, id):
            raise in_use(rules.deleted_title, id)
        self._require_not_hidden(id)
        if rules.data in changes:
            _json(changes[rules.data], rules.data_if_wrong)
        if told:
            after = {**self._view.row(id)["document"], **changes}
            rules.require_understood(after["provider_name"], _json(after[rules.data], rules.data_if_wrong))

    def row_to_delete(self, id: str) -> Row:
        try:
            return self._view.row(id)
        except NotFound:
            raise NotFound(self._rules.deleted_title, id) from None

    def _require_not_hidden(self, id: str) -> None:
        """The nil id is the reference's mark for no profile at all."""
        try:
            if id_in_url(self._rules.deleted_title, id) != _NIL:
                return
        except NotFound:
            return
        raise NotFound(self._rules.deleted_title, id)


def in_use(title: str, id: str) -> InUse:
    return InUse(f"{title} {id} is in use and cannot be modified.")


def _is_used(rules: ProfileRules, id: str) -> bool:
    try:
        return rules.is_used(id_in_url(rules.deleted_title, id))
    except NotFound:
        return False


def _json(text: str, option: str) -> object:
    """Raises NotAnOption for what is no JSON."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise NotAnOption(text, option) from None
