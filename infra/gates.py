"""What a request passes before the application: CORS, what a proxy says of it, Keystone, the audit."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

from infra.options import configuration
from infra.settings import AuthStrategy, Settings

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

REQUEST_ID = "tacitus.request_id"
"""Key of the WSGI environment: the id that a request was given before it reached the application."""

_AUDIT_MAP = Path(__file__).with_name("audit_map.conf")
_OPEN = ("/", "/healthcheck", *(f"/{version}/openapi.json" for version in ("v2", "v2.0")))
OPEN_TO_ALL = frozenset({*_OPEN, *(f"/load-balancer{path}" for path in _OPEN)})
"""Paths that need no token, mount point included."""

_OF_IDENTITIES = (
    *("HTTP_X_IDENTITY_STATUS", "HTTP_X_SERVICE_IDENTITY_STATUS", "HTTP_X_IS_ADMIN_PROJECT", "HTTP_X_SERVICE_CATALOG"),
    *("HTTP_X_PROJECT", "HTTP_X_USER", "HTTP_X_ROLE", "HTTP_X_TENANT", "HTTP_X_DOMAIN", "HTTP_OPENSTACK_SYSTEM_SCOPE"),
    *("HTTP_X_SERVICE_PROJECT", "HTTP_X_SERVICE_USER", "HTTP_X_SERVICE_ROLE", "HTTP_X_SERVICE_DOMAIN"),
)
"""How the headers begin in which keystonemiddleware tells who it is."""


def behind_gates(application: Application, settings: Settings) -> Application:
    """The application with those of the gates that the settings ask for, the outermost last."""
    if settings.audit_enabled:
        application = _audited(application, settings)
    if settings.auth_strategy == AuthStrategy.KEYSTONE:
        application = _keystone(application, settings)
    if settings.enable_proxy_headers_parsing:
        from oslo_middleware import HTTPProxyToWSGI

        application = HTTPProxyToWSGI(application, configuration(settings.config_files))
    if settings.cors_allowed_origin:
        application = _cors(application, settings)
    return application


def _audited(application: Application, settings: Settings) -> Application:
    """To our own log, or to oslo.messaging where that is installed."""
    from keystonemiddleware.audit import AuditMiddleware

    gate: Application = AuditMiddleware(
        application,
        oslo_config_config=configuration(settings.config_files),
        audit_map_file=str(settings.audit_map_file or _AUDIT_MAP),
        ignore_req_list=",".join(settings.audit_ignore_req_list),
    )
    return gate


def _keystone(application: Application, settings: Settings) -> Application:
    from keystonemiddleware.auth_token import AuthProtocol

    return KeystoneGate(
        application, AuthProtocol(application, {"oslo_config_config": configuration(settings.config_files)})
    )


def _cors(application: Application, settings: Settings) -> Application:
    """With what a page needs to send tokens and to read request ids."""
    from oslo_middleware import cors

    cors.set_defaults(
        allow_headers=["X-Auth-Token", "X-Openstack-Request-Id"],
        allow_methods=["GET", "PUT", "POST", "DELETE"],
        expose_headers=["X-Auth-Token", "X-Openstack-Request-Id"],
    )
    gate: Application = cors.CORS(application, configuration(settings.config_files))
    return gate


class KeystoneGate:
    """Lets a request in when Keystone knows its token; tells nobody else's tale of who sends it.

    application  what is open to all is answered by it directly
    asked        the same behind keystonemiddleware
    """

    def __init__(self, application: Application, asked: Application) -> None:
        self._application = application
        self._asked = asked

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        for name in [name for name in environ if name.startswith(_OF_IDENTITIES)]:
            del environ[name]
        path = environ.get("SCRIPT_NAME", "") + (environ.get("PATH_INFO") or "/")
        if path in OPEN_TO_ALL:
            return self._application(environ, start_response)
        environ[REQUEST_ID] = request_id = f"req-{uuid4()}"

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            """Refusals of keystonemiddleware have an id too."""
            if not any(name.lower() == "x-openstack-request-id" for name, _ in headers):
                headers = [*headers, ("x-openstack-request-id", request_id)]
            return start_response(status, headers, *more)

        return self._asked(environ, start)
