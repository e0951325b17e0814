"""Shows listeners."""

from domain.listener import Listener
from projections.columns import COMMON, always, columns_of, id_column
from projections.shown import defaults_of, head, ids
from projections.view import Resource, Row

_ABSENT = {
    "default_tls_container_ref": None,
    "client_ca_tls_container_ref": None,
    "client_crl_container_ref": None,
    "client_authentication": "NONE",
    "tls_ciphers": None,
    "tls_versions": None,
    "alpn_protocols": None,
    "hsts_max_age": None,
    "hsts_include_subdomains": False,
    "hsts_preload": False,
}
_SHOWN = {**defaults_of(Listener), **_ABSENT, "allowed_cidrs": None, "sni_container_refs": (), "l7policies": ()}


def show(row: Row) -> dict[str, object]:
    return {**_SHOWN, **row["document"], **head(row), "loadbalancers": ids([row["load_balancer_id"]])}


_load_balancer = id_column("s.load_balancer_id")

LISTENERS = Resource(
    title="Listener",
    one="listener",
    many="listeners",
    view="shown_listeners",
    columns={
        **COMMON,
        **columns_of(Listener),
        **{name: always(value) for name, value in _ABSENT.items()},
        "insert_headers": always(None),
        "loadbalancer_id": _load_balancer,
        "load_balancer_id": _load_balancer,
    },
    show=show,
)
