"""Settings as options of oslo.config: read from files, checked, written for other processes, shown as a sample."""

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from enum import StrEnum
from ipaddress import ip_address, ip_network
from itertools import groupby
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from oslo_config import cfg
from oslo_config import types as oslo

from domain.errors import Invalid
from domain.tls import TLS_VERSIONS, Alpn
from infra.settings import UNLIMITED, AuthStrategy, Place, Settings

PROJECT = "tacitus"
INSECURE_IS_MEANT = "i-know"
SASL_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI")
PUBLISHED_SECRETS: Mapping[tuple[str, str], str] = types.MappingProxyType(
    {
        ("certificates", "server_certs_key_passphrase"): "insecure-key-do-not-use-this-key",
        ("certificates", "ca_private_key_passphrase"): "not-secure-passphrase",
        ("health_manager", "heartbeat_key"): "insecure",
    }
)
"""Secrets that stand in public samples and guides of Octavia: whoever has one of these has none."""


class InvalidSettings(Exception):
    """A configuration that no service starts with; one line, ready for whoever has to mend it."""


def configuration(files: Sequence[Path] | None) -> cfg.ConfigOpts:
    """What the files say, for options yet to be registered. Later files win; None stands for those at the usual places.

    Raises InvalidSettings.
    """
    made = cfg.ConfigOpts()
    try:
        if files is None:
            made([], project=PROJECT)
        else:
            made([], project=PROJECT, default_config_files=[*map(str, files)], default_config_dirs=[])
    except cfg.Error as error:
        raise InvalidSettings(" ".join(str(error).split())) from None
    return made


def read(
    files: Sequence[Path] | None, *, presumed: Mapping[str, Any] | None = None, fixed: Mapping[str, Any] | None = None
) -> Settings:
    """The settings of a service. Raises InvalidSettings.

    files     as for `configuration`
    presumed  attributes with other defaults
    fixed     attributes that no file has a say in
    """
    found, values = configuration(files), dict(fixed or {})
    hints = get_type_hints(Settings)
    for section, option, field in _options(presumed or {}):
        found.register_opt(option, group=section)
        if field.name not in values:
            values[field.name] = _value(found, field, hints[field.name])
    settings = Settings(**values, config_files=tuple(map(Path, found.config_file or ())))
    require_sound(settings)
    _require_secrets_of_ones_own(found)
    return settings


def written(settings: Settings) -> str:
    """As a configuration file that says everything."""
    said = [(_place(field), getattr(settings, field.name)) for field in _settings()]
    lines: list[str] = []
    for section, places in groupby(sorted(said, key=lambda each: each[0].section), key=lambda each: each[0].section):
        lines += ["", f"[{section}]"]
        lines += [f"{place.option} = {_as_text(value)}" for place, value in places if value is not None]
    return "\n".join(lines[1:]) + "\n"


def sample() -> str:
    """A configuration file in which everything is a comment: our settings, then those of the libraries."""
    ours = [(section, option) for section, option, _ in _options()]
    return "\n".join(_sample_of([*ours, *_options_of_libraries()]))


def require_sound(settings: Settings) -> None:
    """What no single option can know of itself. Raises InvalidSettings."""
    for fault in _faults(settings):
        raise InvalidSettings(fault)


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Section, option, default and meaning of each setting, for the documentation."""
    for section, option, field in _options():
        default = _default(field)
        yield section, option.name, "" if default is None else _as_text(_of_lists(default)), str(option.help)


def _settings() -> Iterator[Field[Any]]:
    return (field for field in fields(Settings) if "place" in field.metadata)


def _place(field: Field[Any]) -> Place:
    place: Place = field.metadata["place"]
    return place


# Options


def _options(presumed: Mapping[str, Any] = types.MappingProxyType({})) -> Iterator[tuple[str, cfg.Opt, Field[Any]]]:
    hints = get_type_hints(Settings)
    for field in _settings():
        place = _place(field)
        option = cfg.Opt(
            place.option,
            type=_type(place, hints[field.name]),
            default=presumed.get(field.name, _default(field)),
            help=place.text + _choices(hints[field.name]),
            secret=place.is_secret,
        )
        yield place.section, option, field


def _choices(hint: Any) -> str:
    return f" One of {', '.join(hint)}." if isinstance(hint, type) and issubclass(hint, StrEnum) else ""


def _default(field: Field[Any]) -> Any:
    if field.default is MISSING:
        return None
    return list(field.default) if isinstance(field.default, tuple) else field.default


def _type(place: Place, hint: Any) -> Any:
    kind = _without_none(hint)
    if place.option == "pagination_max_limit":
        return _largest_page
    if get_origin(kind) is tuple:
        return oslo.List(oslo.String())
    if get_origin(kind) is Mapping:
        return oslo.Dict()
    if issubclass(kind, StrEnum):
        return oslo.String(choices=[each.value for each in kind])
    simple: dict[type, Any] = {
        bool: oslo.Boolean(),
        int: oslo.Integer(place.minimum, place.maximum),
        float: oslo.Float(min=0),
    }
    return simple.get(kind, oslo.String())


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        return next(each for each in get_args(hint) if each is not type(None))
    return hint


def _largest_page(said: str) -> int:
    if str(said).strip().lower() == "infinite":
        return UNLIMITED
    number = int(said)
    return number if number >= 0 else UNLIMITED


# Reading


def _value(found: cfg.ConfigOpts, field: Field[Any], hint: Any) -> Any:
    place = _place(field)
    try:
        said = found[place.section][place.option]
    except (cfg.ConfigFileValueError, ValueError) as error:
        reason = str(error).rpartition("is not valid: ")[2]
        raise InvalidSettings(f"[{place.section}] {place.option}: {reason}") from None
    if said is None and field.default is MISSING and field.default_factory is MISSING:
        raise InvalidSettings(f"[{place.section}] {place.option} is not set")
    kind = _without_none(hint)
    if said is None:
        return None
    if get_origin(kind) is tuple:
        return tuple(said)
    return kind(said) if isinstance(kind, type) and issubclass(kind, (StrEnum, Path)) else said


def _as_text(value: object) -> str:
    """A dollar would refer to another option."""
    match value:
        case tuple():
            text = ",".join(map(str, value))
        case Mapping():
            text = ",".join(f"{key}:{each}" for key, each in value.items())
        case _:
            text = str(value)
    return text.replace("$", "$$")


# Checks


def _faults(settings: Settings) -> Iterator[str]:
    yield from _faults_of_strategy(settings)
    yield from _faults_of_database(settings)
    yield from _faults_of_addresses(settings)
    yield from _faults_of_tls(settings)
    yield from _faults_of_kafka(settings)
    if settings.audit_enabled and (file := settings.audit_map_file) is not None and not file.is_file():
        yield f"[audit] audit_map_file: there is no file {file}"
    enabled, default = settings.enabled_provider_drivers, settings.default_provider_driver
    if enabled is not None and default is not None and default not in enabled:
        yield f"[api_settings] default_provider_driver: {default} is not in enabled_provider_drivers"


def _faults_of_strategy(settings: Settings) -> Iterator[str]:
    strategy = settings.auth_strategy
    if strategy == AuthStrategy.KEYSTONE or settings.insecure_strategy == INSECURE_IS_MEANT:
        return
    for host in (settings.api_host, settings.feed_host):
        if not _is_loopback(host):
            yield (
                f"[api_settings] auth_strategy: {strategy} lets everybody who reaches {host} do everything;"
                f" it is for loopback, unless [api] insecure_strategy = {INSECURE_IS_MEANT}"
            )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _faults_of_database(settings: Settings) -> Iterator[str]:
    scheme, separator, _ = settings.database_url.partition("://")
    if separator and scheme not in ("postgresql", "postgres"):
        yield f"[database] connection: {scheme} is none of postgresql, postgres; everything is kept in PostgreSQL"


def _faults_of_kafka(settings: Settings) -> Iterator[str]:
    mechanism = settings.kafka_sasl_mechanism
    if not settings.kafka_security_protocol.startswith("SASL_"):
        if mechanism is not None:
            yield f"[kafka] sasl_mechanism: {mechanism} is of no use without a security_protocol that has SASL"
    elif mechanism not in SASL_MECHANISMS:
        yield f"[kafka] sasl_mechanism: {mechanism or 'nothing'} is none of {', '.join(SASL_MECHANISMS)}"
    elif mechanism != "GSSAPI" and not (settings.kafka_sasl_plain_username and settings.kafka_sasl_plain_password):
        yield f"[kafka] sasl_plain_username, sasl_plain_password: {mechanism} needs both"


def _faults_of_tls(settings: Settings) -> Iterator[str]:
    minimum = settings.minimum_tls_version
    if minimum is not None and minimum not in TLS_VERSIONS:
        yield f"[api_settings] minimum_tls_version: {minimum} is none of {', '.join(TLS_VERSIONS)}"
    for kind in ("listener", "pool"):
        unknown = [name for name in getattr(settings, f"default_{kind}_alpn_protocols") if name not in list(Alpn)]
        if unknown:
            yield f"[api_settings] default_{kind}_alpn_protocols: unknown: {', '.join(unknown)}"
            return
    rules = settings.deployment.tls
    for kind, presumed in (("listener", rules.listeners), ("pool", rules.pools)):
        try:
            option = f"default_{kind}_ciphers"
            rules.require_ciphers(presumed.ciphers)
            option = f"default_{kind}_tls_versions"
            rules.require_versions(presumed.versions)
        except Invalid as error:
            yield f"[api_settings] {option}: {str(error).removeprefix('Validation failure: ')}"


def _faults_of_addresses(settings: Settings) -> Iterator[str]:
    for option, parse in (("reserved_ips", ip_address), ("reserved_cidrs", ip_network)):
        for said in getattr(settings, option):
            try:
                parse(said)
            except ValueError as error:
                yield f"[networking] {option}: {error}"


def _require_secrets_of_ones_own(found: cfg.ConfigOpts) -> None:
    for (section, option), published in PUBLISHED_SECRETS.items():
        found.register_opt(cfg.ListOpt(option, secret=True), group=section)
        if published in (found[section][option] or ()):
            raise InvalidSettings(
                f"[{section}] {option}: everybody knows this secret, since it stands in public samples"
            )


# The sample


def _options_of_libraries() -> Iterator[tuple[str, cfg.Opt]]:
    from keystonemiddleware import audit, auth_token
    from oslo_middleware import cors, http_proxy_to_wsgi
    from oslo_policy import opts

    yield from ((section, option) for section, options in auth_token.list_opts() for option in options)
    yield from ((section, option) for section, options in audit.list_opts() for option in options)
    yield from ((section, option) for section, options in opts.list_opts() for option in options)
    yield from (("cors", option) for option in cors.OPTS)
    yield from (("oslo_middleware", option) for option in http_proxy_to_wsgi.OPTS)


def _sample_of(options: Sequence[tuple[str, cfg.Opt]]) -> Iterator[str]:
    for section in dict.fromkeys(section for section, _ in options):
        yield f"[{section}]\n"
        for option in (option for each, option in options if each == section):
            yield f"# {' '.join(str(option.help or '').split())}"
            value = "" if option.default is None else _as_text(_of_lists(option.default))
            yield f"#{option.dest} = {value}\n"


def _of_lists(default: object) -> object:
    return tuple(default) if isinstance(default, list) else default
