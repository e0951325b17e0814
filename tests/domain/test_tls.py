"""TLS settings that are allowed, and those that the operator forbids."""

import pytest

from domain.errors import Invalid
from domain.tls import (
    DEFAULT_ALPN,
    DEFAULT_CIPHERS,
    DEFAULT_VERSIONS,
    TLS_VERSIONS,
    Alpn,
    TlsDefaults,
    TlsRules,
    require_alpn,
)

VF = "Validation failure: "


def text_of(refusal: pytest.ExceptionInfo[Invalid]) -> str:
    return str(refusal.value)


@pytest.mark.parametrize("ciphers", ["", "A", DEFAULT_CIPHERS, "HIGH:!aNULL:@STRENGTH", "a-b+c!d=e_f.g"])
def test_list_of_ciphers_is_accepted(ciphers: str) -> None:
    TlsRules().require_ciphers(ciphers)


@pytest.mark.parametrize("ciphers", ["A B", "A;B", "A,B", "A'B", 'A"B', "A\nB", "A\n", "Ä", "A$B", "A\\B", "A/B"])
def test_characters_that_no_cipher_has_are_refused(ciphers: str) -> None:
    with pytest.raises(Invalid) as refusal:
        TlsRules().require_ciphers(ciphers)

    assert text_of(refusal) == (
        f"{VF}Invalid characters in cipher string. Only alphanumeric, -, +, !, :, @, =, _, and . are allowed."
    )


def test_prohibited_ciphers_are_named_in_the_order_of_the_request() -> None:
    rules = TlsRules(prohibited=frozenset({"RC4", "DES", "NULL"}))

    with pytest.raises(Invalid) as refusal:
        rules.require_ciphers("AES:DES:RC4")

    assert text_of(refusal) == f"{VF}The following ciphers have been prohibited by an administrator: DES, RC4"
    rules.require_ciphers("AES:RC4-ISH")


def test_empty_list_of_versions_is_refused() -> None:
    with pytest.raises(Invalid) as refusal:
        TlsRules().require_versions(())

    assert text_of(refusal) == (
        f"{VF}Empty TLS version list. Either specify at least one TLS version or remove this parameter to use the"
        " default."
    )


def test_unknown_versions_are_named() -> None:
    with pytest.raises(Invalid) as refusal:
        TlsRules().require_versions(("TLSv1.2", "TLSv9", "tlsv1"))

    assert text_of(refusal) == f"{VF}Invalid TLS versions: TLSv9, tlsv1"


@pytest.mark.parametrize("minimum", TLS_VERSIONS)
def test_versions_below_the_minimum_are_named(minimum: str) -> None:
    rules = TlsRules(minimum_version=minimum)
    too_old = TLS_VERSIONS[: TLS_VERSIONS.index(minimum)]

    if not too_old:
        rules.require_versions(TLS_VERSIONS)
        return
    with pytest.raises(Invalid) as refusal:
        rules.require_versions(TLS_VERSIONS)
    assert text_of(refusal) == (
        f"{VF}Requested TLS versions are less than the minimum: {', '.join(too_old)} < {minimum}"
    )
    rules.require_versions(TLS_VERSIONS[TLS_VERSIONS.index(minimum) :])


def test_what_was_never_said_is_not_checked() -> None:
    rules = TlsRules(prohibited=frozenset({"RC4"}), minimum_version="TLSv1.3")

    rules.require_ciphers(None)
    rules.require_versions(None)
    require_alpn(None)


def test_empty_list_of_alpn_protocols_is_refused() -> None:
    with pytest.raises(Invalid) as refusal:
        require_alpn(())

    assert text_of(refusal) == (
        f"{VF}Empty ALPN protocol list. Either specify at least one ALPN protocol or remove this parameter to use the"
        " default."
    )
    require_alpn((Alpn.HTTP_1_0,))


def test_defaults_are_the_contracts() -> None:
    assert DEFAULT_VERSIONS == ("TLSv1.2", "TLSv1.3")
    assert DEFAULT_ALPN == tuple(Alpn) == ("h2", "http/1.1", "http/1.0")
    assert TlsDefaults() == TlsDefaults(ciphers=DEFAULT_CIPHERS, versions=DEFAULT_VERSIONS, alpn=tuple(Alpn))
    TlsRules().require_ciphers(DEFAULT_CIPHERS)
    TlsRules().require_versions(DEFAULT_VERSIONS)
