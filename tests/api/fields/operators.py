"""Fields that operators set: quotas, flavors, availability zones and their profiles (sections 9.1 and 10.2 to 10.5)."""

from typing import Any

from tests.api.fields.field import (
    MISSING,
    UNKNOWN_ID,
    Field,
    FromMaker,
    Good,
    Refused,
    bounded_text,
    id_of,
    ids_of_existing,
    no_option,
    number,
    text,
    truth,
)

QUOTA, FLAVOR, ZONE = "quota", "flavor", "availability_zone"
FLAVOR_PROFILE, ZONE_PROFILE = "flavorprofile", "availability_zone_profile"
SPELLINGS = {
    "loadbalancer": "load_balancer",
    "load_balancer": "loadbalancer",
    "healthmonitor": "health_monitor",
    "health_monitor": "healthmonitor",
}


def limit(name: str) -> Field:
    """Shown by both its names, where it has two."""

    def of_shown(shown: Any) -> Any:
        assert shown[SPELLINGS.get(name, name)] == shown[name]
        return shown[name]

    return number(QUOTA, name, -1, 2_000_000_000, absent=-1, on_post=-1, on_put=-1, of_shown=of_shown)


def unused(length: int) -> FromMaker:
    """A name that nothing has yet."""
    return lambda maker: maker.unused_name().ljust(length, "x")


def unique_name(of: str, **more: Any) -> Field:
    good = [Good(unused(length)) for length in (0, 255)]
    return bounded_text(of, "name", 255, good, **{"absent": MISSING, "on_post": Refused(""), **more})


def profile_id(of: str, name: str, profile: str) -> Field:
    good = ids_of_existing(profile)
    meaning = {"absent": MISSING, "on_post": Refused(""), "fixed": True}
    return id_of(of, name, (UNKNOWN_ID, Refused("")), good=good, **meaning)


def profile(of: str, data: str) -> list[Field]:
    def mandatory(name: str) -> dict[str, Any]:
        return {"absent": MISSING, "on_post": Refused(""), "on_put": no_option(None, name)}

    no_documents = ("", "loom", "{", "{'a': 1}", "[1,]")
    return [
        bounded_text(of, "name", 255, ["", "x" * 255, "Wébstuhl"], **mandatory("name")),
        bounded_text(
            *(of, "provider_name", 255, ["noop_driver", "amphora"]),
            *((wrong, Refused(f"Provider '{wrong}' is not enabled.")) for wrong in ("loom", "", "x" * 255)),
            **mandatory("provider_name"),
        ),
        bounded_text(
            *(of, data, 4_096, ["{}", '{ "amp_image_tag": "ä" }', '{"compute_zone": "' + "x" * 4_076 + '"}']),
            bad_on_post=[(wrong, no_option(wrong, data)) for wrong in no_documents],
            bad_on_put=[(wrong, no_option(wrong, "flavor_data")) for wrong in no_documents],
            **mandatory(data),
        ),
    ]


NULL = Refused("")
"""Here, and only here, null does not mean false."""

FIELDS = [
    *(limit(name) for name in (*SPELLINGS, "listener", "pool", "member", "l7policy", "l7rule")),
    unique_name(FLAVOR, on_put=NULL),
    text(FLAVOR, "description"),
    truth(FLAVOR, "enabled", absent=True, on_post=NULL, on_put=NULL),
    profile_id(FLAVOR, "flavor_profile_id", FLAVOR_PROFILE),
    *profile(FLAVOR_PROFILE, "flavor_data"),
    unique_name(ZONE, fixed=True),
    text(ZONE, "description"),
    truth(ZONE, "enabled", absent=True, on_post=NULL, on_put=NULL),
    profile_id(ZONE, "availability_zone_profile_id", ZONE_PROFILE),
    *profile(ZONE_PROFILE, "availability_zone_data"),
]
