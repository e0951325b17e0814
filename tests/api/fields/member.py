"""Fields of members, as the contract has them (section 8.3)."""

from operator import itemgetter

from tests.api.fields.field import (
    MISSING,
    Refused,
    address,
    id_of,
    no_option,
    number,
    of_body,
    project,
    row,
    tags,
    text,
    truth,
)

MEMBER = "member"
RESERVED = "169.254.169.254"
FIXED = {"absent": MISSING, "on_post": Refused(""), "fixed": True}
TO_NOTHING = {"absent": None, "on_post": None, "on_put": None}

FIELDS = [
    text(MEMBER, "name"),
    truth(MEMBER, "admin_state_up", absent=True, on_post=False, on_put=False),
    tags(MEMBER),
    project(MEMBER, "project_id"),
    project(MEMBER, "tenant_id"),
    address(MEMBER, "address", (RESERVED, no_option(RESERVED, "member address")), **FIXED),
    number(MEMBER, "protocol_port", 1, 65_535, **FIXED),
    number(MEMBER, "weight", 0, 256, absent=1, on_post=None, on_put=1),
    truth(MEMBER, "backup", absent=False, on_post=False, on_put=False),
    id_of(MEMBER, "subnet_id", absent=None, on_post=None, fixed=True),
    number(MEMBER, "monitor_port", 1, 65_535, **TO_NOTHING),
    address(MEMBER, "monitor_address", **TO_NOTHING),
    row(
        *(MEMBER, "request_sriov", [(True, "direct"), (False, "normal"), ("yes", "direct"), (0, "normal")]),
        [(wrong, of_body(f"Value not an unambiguous boolean: {wrong}")) for wrong in ("True", "", [], 1.5)],
        **{"absent": "normal", "on_post": "normal", "fixed": True, "of_shown": itemgetter("vnic_type")},
    ),
]
