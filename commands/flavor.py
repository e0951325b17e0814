"""Making, changing and deleting flavors and their profiles."""

from dataclasses import dataclass
from functools import partial
from typing import Protocol
from uuid import UUID

from commands.body import Parser
from commands.catalogue import EntryKind, Settings
from commands.ports import ProviderGate
from commands.profile import in_use
from domain.errors import Invalid, NameTaken
from domain.flavor import Flavor, FlavorProfile, FlavorProfileSettings, FlavorSettings


def _name_taken(settings: Settings) -> NameTaken:
    return NameTaken("flavor", settings.name)


def _no_such_profile(settings: Settings) -> Invalid:
    return Invalid("Validation failure: Invalid flavor_profile_id.")


FLAVOR = EntryKind(
    aggregate=Flavor,
    parser=Parser(FlavorSettings, without=()),
    title="Flavor",
    rule="flavor",
    argument="flavor_",
    root="flavor",
    refusals={"flavors_name": _name_taken, "flavors_flavor_profile": _no_such_profile},
    in_use={"load_balancers_flavor": partial(in_use, "Flavor")},
)

_PROFILE = "Flavor profile"
FLAVOR_PROFILE = EntryKind(
    aggregate=FlavorProfile,
    parser=Parser(FlavorProfileSettings, without=()),
    title="Flavor Profile",
    rule="flavor-profile",
    argument="flavor_profile_",
    root="flavorprofile",
    in_use={"flavors_flavor_profile": partial(in_use, _PROFILE)},
)


class FlavorProfileUse(Protocol):
    def flavor_profile_is_used(self, id: UUID) -> bool: ...


@dataclass(frozen=True)
class FlavorProfileRules:
    """What commands.profile.ProfileRules asks for."""

    providers: ProviderGate
    use: FlavorProfileUse
    data: str = "flavor_data"
    data_if_wrong: str = "flavor_data"
    deleted_title: str = _PROFILE

    def is_used(self, id: UUID) -> bool:
        return self.use.flavor_profile_is_used(id)

    def require_understood(self, provider: str, data: object) -> None:
        self.providers.require_flavor_data(provider, data)
