"""Settings from files: names and defaults, what is refused at the start and with which words, what is documented."""

from dataclasses import fields, replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from infra.cli import main
from infra.options import InvalidSettings, read, rows, written
from infra.settings import UNLIMITED, AuthStrategy, Profile, Settings

DOCUMENT = Path(__file__).parents[2] / "docs/settings.md"
NECESSARY = "[DEFAULT]\nstate_directory = /var/lib/tacitus\n[database]\nconnection = postgresql://db/tacitus\n"


def settings_from(directory: Path, *texts: str) -> Settings:
    """What these files say, and one with what has no default."""
    files = []
    for number, text in enumerate((NECESSARY, *texts)):
        files.append(directory / f"{number}.conf")
        files[-1].write_text(text)
    return read(files)


def some_settings() -> Settings:
    return Settings(database_url="postgresql://livia:a$b%c@db/tacitus", state_directory=Path("/var/lib/tacitus"))


def test_defaults_are_octavias(tmp_path: Path) -> None:
    settings = settings_from(tmp_path)

    assert (settings.api_host, settings.api_port) == ("127.0.0.1", 9876)
    assert settings.auth_strategy == AuthStrategy.KEYSTONE
    assert settings.pagination_max_limit == 1_000
    assert settings.default_listener_tls_versions == ("TLSv1.2", "TLSv1.3")
    assert settings.default_pool_alpn_protocols == ("h2", "http/1.1", "http/1.0")
    assert settings.max_request_body_size == 114_688
    assert settings.valid_vip_networks is None
    assert (settings.heartbeat_interval, settings.heartbeat_timeout) == (10, 60)


def test_later_files_win(tmp_path: Path) -> None:
    first, second = "[api_settings]\nbind_port = 1\nbind_host = ::1\n", "[api_settings]\nbind_port = 2\n"

    settings = settings_from(tmp_path, first, second)

    assert (settings.api_host, settings.api_port) == ("::1", 2)
    assert [file.name for file in settings.config_files] == ["0.conf", "1.conf", "2.conf"]


def test_lists_mappings_and_numbers_are_read_as_what_they_are(tmp_path: Path) -> None:
    settings = settings_from(
        tmp_path,
        "[api_settings]\nenabled_provider_drivers = amphora: The one: of old, looms: Ours\n"
        "pagination_max_limit = infinite\n[networking]\nvalid_vip_networks = a, b\ndenylist_vip_networks =\n"
        "[quotas]\ndefault_pool_quota = 5\n"
        "[controller_worker]\npush_deadline = 1.5\n",
    )

    assert settings.enabled_provider_drivers == {"amphora": "The one: of old", "looms": "Ours"}
    assert settings.pagination_max_limit == UNLIMITED
    assert settings.valid_vip_networks == ("a", "b")
    assert settings.denylist_vip_networks == ()
    assert settings.default_pool_quota == 5
    assert settings.push_deadline == 1.5


def test_settings_that_are_written_are_the_same_when_read(tmp_path: Path) -> None:
    settings = replace(
        some_settings(),
        profile=Profile.NOOP,
        reserved_cidrs=(),
        valid_vip_networks=("a",),
        enabled_provider_drivers={"noop_driver": "NoOp driver."},
        pagination_max_limit=UNLIMITED,
    )
    file = tmp_path / "tacitus.conf"

    file.write_text(written(settings))

    assert read([file]) == replace(settings, config_files=(file,))


SECRET = "everybody knows this secret"
REFUSED = [
    ("[api_settings]\nauth_strategy = kerberos", "[api_settings] auth_strategy: Valid values are [keystone, noauth,"),
    ("[api_settings]\nbind_port = 70000", "[api_settings] bind_port: Should be less than or equal to 65535"),
    ("[api_settings]\nbind_port = x", "[api_settings] bind_port: invalid literal"),
    ("[api_settings]\npagination_max_limit = x", "[api_settings] pagination_max_limit: invalid literal"),
    ("[api_settings]\nallow_pagination = x", "[api_settings] allow_pagination: "),
    ("[controller_worker]\nloadbalancer_topology = RING", "[controller_worker] loadbalancer_topology: Valid values"),
    ("[quotas]\ndefault_pool_quota = -2", "[quotas] default_pool_quota: Should be greater than or equal to -1"),
    (
        "[api_settings]\nminimum_tls_version = TLSv1.3",
        "[api_settings] default_listener_tls_versions: Requested TLS versions are less than the minimum: "
        "TLSv1.2 < TLSv1.3",
    ),
    ("[api_settings]\nminimum_tls_version = TLSv9", "[api_settings] minimum_tls_version: TLSv9 is none of SSLv3,"),
    (
        "[api_settings]\ntls_cipher_prohibit_list = DHE-RSA-AES256-GCM-SHA384",
        "[api_settings] default_listener_ciphers: The following ciphers have been prohibited",
    ),
    ("[api_settings]\ndefault_pool_tls_versions = TLSv9", "[api_settings] default_pool_tls_versions: Invalid TLS"),
    ("[api_settings]\ndefault_pool_alpn_protocols = h9", "[api_settings] default_pool_alpn_protocols: unknown: h9"),
    ("[networking]\nreserved_cidrs = 10.0.0.1/8", "[networking] reserved_cidrs: 10.0.0.1/8 has host bits set"),
    ("[networking]\nreserved_ips = loom", "[networking] reserved_ips: 'loom' does not appear to be"),
    ("[database]\nconnection = mysql+pymysql://db/octavia", "[database] connection: mysql+pymysql is none of"),
    (
        "[api_settings]\nenabled_provider_drivers = amphora: A\ndefault_provider_driver = looms",
        "[api_settings] default_provider_driver: looms is not in enabled_provider_drivers",
    ),
    ("[certificates]\nserver_certs_key_passphrase = insecure-key-do-not-use-this-key", SECRET),
    ("[certificates]\nserver_certs_key_passphrase = mine,insecure-key-do-not-use-this-key", SECRET),
    ("[health_manager]\nheartbeat_key = insecure", SECRET),
    ("weave", "Failed to parse"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED, ids=range(len(REFUSED)))
def test_what_no_service_should_start_with_is_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        settings_from(tmp_path, f"{text}\n")

    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("strategy", ["noauth", "testing"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "lb.example.org"])
def test_strategy_that_believes_everybody_is_for_loopback(tmp_path: Path, strategy: str, host: str) -> None:
    text = f"[api_settings]\nauth_strategy = {strategy}\nbind_host = {host}\n"

    with pytest.raises(InvalidSettings, match="it is for loopback, unless"):
        settings_from(tmp_path, text)

    assert settings_from(tmp_path, text, "[api]\ninsecure_strategy = i-know\n").api_host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_strategy_that_believes_everybody_serves_loopback(tmp_path: Path, host: str) -> None:
    assert settings_from(tmp_path, f"[api_settings]\nauth_strategy = noauth\nbind_host = {host}\n").api_host == host


def test_missing_settings_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.conf").touch()

    with pytest.raises(InvalidSettings, match=r"^\[DEFAULT\] state_directory is not set$"):
        read([tmp_path / "empty.conf"])


def test_service_that_cannot_start_says_why_and_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["worker", "--config-file", str(tmp_path / "nowhere.conf")])

    assert left.value.code == 1
    assert capsys.readouterr().err == f"tacitus: Failed to find some config files: {tmp_path}/nowhere.conf\n"


def test_sample_names_every_setting_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["config", "sample"])
    printed = capsys.readouterr().out

    for place in (field.metadata["place"] for field in fields(Settings) if field.metadata):
        assert f"\n#{place.option} = " in printed
    assert "\n[keystone_authtoken]\n" in printed
    assert "\n#policy_file = policy.yaml\n" in printed
    assert replace(settings_from(tmp_path, printed), config_files=()) == replace(
        settings_from(tmp_path), config_files=()
    )


def test_every_setting_is_documented() -> None:
    lines = DOCUMENT.read_text().splitlines()

    for section, option, default, text in rows():
        assert f"| `{section}` | `{option}` | {f'`{default}`' if default else ''} | {text} |" in lines


def test_local_profile_opens_loopback_for_members_and_no_other_does() -> None:
    local, noop = (replace(some_settings(), profile=profile).deployment for profile in (Profile.LOCAL, Profile.NOOP))

    assert not any(ip_network(cidr).is_loopback for cidr in local.reserved_cidrs)
    assert "169.254.0.0/16" in local.reserved_cidrs
    assert {"127.0.0.0/8", "::1/128"} <= set(noop.reserved_cidrs)


def test_deployment_is_what_the_operator_wants() -> None:
    deployment = replace(
        some_settings(),
        timeout_client_data=1,
        allow_ping_health_monitors=False,
        strict_immutability=True,
        tls_cipher_prohibit_list="A:B",
        minimum_tls_version="TLSv1.2",
        default_pool_tls_versions=("TLSv1.3",),
    ).deployment

    assert deployment.timeouts.timeout_client_data == 1
    assert deployment.strict_immutability
    assert not deployment.ping_health_monitors
    assert deployment.tls.prohibited == {"A", "B"}
    assert (deployment.tls.minimum_version, deployment.tls.pools.versions) == ("TLSv1.2", ("TLSv1.3",))
