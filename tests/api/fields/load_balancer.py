"""Fields of load balancers, as the contract has them (section 7.2)."""

from collections.abc import Callable
from uuid import uuid4

from tests.api.fields.field import (
    ABSENT,
    ANYTHING,
    UNKNOWN_ID,
    Document,
    Good,
    Refused,
    address,
    bounded_text,
    existing,
    id_of,
    ids_of_existing,
    not_a_list,
    row,
    tags,
    text,
    truth,
)

LB = "loadbalancer"
SUBNET, SECOND = str(uuid4()), str(uuid4())
NO_VIP = Refused("Validation failure: VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.")
NO_FLAVOR = Refused("Validation failure: Invalid flavor_id.")
NO_ZONE = Refused("Validation failure: Invalid availability zone.")
TWICE = Refused("Validation failure: Duplicate VIP subnet(s) specified. Only one IP can be bound per subnet.")
NO_ADDRESS = Refused("Value should be IPv4 or IPv6 format")
NO_ID = Refused("Value should be UUID format")


def _additional(**said: object) -> list[dict[str, object]]:
    return [{"subnet_id": SECOND, **said}]


def _project(name: str, other: str) -> Callable[[Document], object]:
    def of_shown(shown: Document) -> object:
        assert shown[name] == shown[other]
        return shown[name]

    return of_shown


FIELDS = [
    text(LB, "name"),
    text(LB, "description"),
    truth(LB, "admin_state_up", absent=True, on_post=False, on_put=False),
    tags(LB, twice=False),
    *(
        bounded_text(
            *(LB, name, 36, ["x" * 36, "Wébstuhl"]),
            **{"absent": ANYTHING, "on_post": ANYTHING, "fixed": True, "of_shown": _project(name, other)},
        )
        for name, other in (("project_id", "tenant_id"), ("tenant_id", "project_id"))
    ),
    address(LB, "vip_address", absent=ANYTHING, on_post=ANYTHING, fixed=True),
    id_of(LB, "vip_subnet_id", absent=NO_VIP, on_post=NO_VIP, fixed=True),
    *(
        id_of(LB, name, absent=NO_VIP, on_post=NO_VIP, fixed=True, beside={"vip_subnet_id": ABSENT})
        for name in ("vip_port_id", "vip_network_id")
    ),
    id_of(LB, "vip_qos_policy_id", absent=None, on_post=None, on_put=None),
    row(
        *(LB, "vip_sg_ids", [[], [UNKNOWN_ID], ([SUBNET.upper(), SUBNET], [SUBNET])]),
        [*not_a_list("x", {}, 3), *(([wrong], NO_ID) for wrong in ("x", "", 3, None))],
        **{"absent": [], "on_post": [], "on_put": []},
    ),
    row(
        *(LB, "additional_vips"),
        [
            [],
            (_additional(), [{"subnet_id": SECOND, "ip_address": ANYTHING, "port_id": ANYTHING}]),
            (
                _additional(ip_address="2001:DB8::5", port_id=UNKNOWN_ID),
                [{"subnet_id": SECOND, "ip_address": "2001:DB8::5", "port_id": ANYTHING}],
            ),
            (_additional(ip_address=None, port_id=None), ANYTHING),
        ],
        [
            *not_a_list("x", {}, 3),
            *(([wrong], Refused("")) for wrong in (3, "x", [], None)),
            *(([{"subnet_id": wrong}], NO_ID) for wrong in ("x", "", 3)),
            ([{}], Refused("Mandatory field missing.")),
            ([{"subnet_id": None}], Refused("")),
            *((_additional(ip_address=wrong), NO_ADDRESS) for wrong in ("loom", "", "127.0.0.1/8")),
            (_additional(port_id="x"), NO_ID),
            (_additional(loom=1), Refused("Unknown attribute for argument")),
            *((wrong, TWICE) for wrong in ([{"subnet_id": SUBNET}], [*_additional(), *_additional()])),
        ],
        **{"absent": [], "on_post": [], "fixed": True, "beside": {"vip_subnet_id": SUBNET}},
    ),
    bounded_text(
        *(LB, "provider", 64, ["noop_driver", "octavia"]),
        ("loom", Refused("Provider 'loom' is not enabled.")),
        **{"absent": "noop_driver", "on_post": "amphora", "fixed": True},
    ),
    id_of(
        *(LB, "flavor_id", (UNKNOWN_ID, NO_FLAVOR)),
        (existing("flavor", enabled=False), Refused("The selected flavor is not allowed in this deployment: ")),
        **{"good": ids_of_existing("flavor"), "absent": None, "on_post": NO_FLAVOR, "fixed": True},
    ),
    bounded_text(
        *(LB, "availability_zone", 255, [Good(lambda maker: maker.make("availability_zone")["name"])]),
        *((wrong, NO_ZONE) for wrong in ("loom", "x" * 255)),
        (
            lambda maker: maker.make("availability_zone", enabled=False)["name"],
            Refused("The selected availability_zone is not allowed in this deployment: "),
        ),
        **{"absent": None, "on_post": NO_ZONE, "fixed": True},
    ),
    *(
        row(
            *(LB, name, [[]]),
            [*not_a_list("x", {}, 3), *(([wrong], Refused("")) for wrong in (3, "x", [], None))],
            **{"absent": [], "on_post": [], "fixed": True},
        )
        for name in ("listeners", "pools")
    ),
]
