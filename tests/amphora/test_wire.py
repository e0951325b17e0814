"""What arrives is read as it was meant or refused with a reason, and never read before it is known to be authentic."""

import hmac
import json
import random
import zlib
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amphora.heartbeat_reading import claimed_amphora_id, decode_heartbeat
from amphora.wire import (
    Additions,
    Counters,
    Edge,
    Heartbeat,
    ListenerReport,
    Malformed,
    Oversized,
    PoolReport,
    Stamp,
    Tampered,
    WireError,
    datagrams,
    encode_heartbeat,
    parse_edge,
    parse_statistics,
    stamp_of,
)

KEY = "a key"
A, B, C, D = (UUID(int=number) for number in (0xA, 0xB, 0xC, 0xD))


FIELDS = st.sampled_from(["id", "seq", "ver", "listeners", "pools", "tacitus"])
NONSENSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner),
)


def a_heartbeat() -> Heartbeat:
    edge = Edge(B, C, D, "DOWN", "Layer4 connection problem", 1700000000.5)
    additions = Additions(uuid4(), 1700000001.25, uuid4(), 7, {C: Counters(1, 2, 3, 4)}, (edge,))
    pool = PoolReport(B, C, "UP", {D: "UP 1/2"})
    return Heartbeat(A, 3, {C: ListenerReport("OPEN", 5, Counters(10, 20, 30, 40))}, (pool,), additions)


def signed(document: bytes, key: str = KEY) -> bytes:
    payload = zlib.compress(document, 9)
    return payload + hmac.digest(key.encode(), payload, "sha256").hex().encode()


def test_heartbeat_arrives_as_it_was_sent() -> None:
    heartbeat = a_heartbeat()

    assert decode_heartbeat(encode_heartbeat(heartbeat, KEY), [KEY]) == heartbeat


def test_heartbeat_is_an_ordinary_version_3_heartbeat_for_other_receivers() -> None:
    datagram = encode_heartbeat(a_heartbeat(), KEY)

    payload, code = datagram[:-64], datagram[-64:]
    document = json.loads(zlib.decompress(payload))

    assert code.decode() == hmac.new(KEY.encode(), payload, "sha256").hexdigest()
    assert (document["id"], document["ver"], document["seq"]) == (str(A), 3, 3)
    assert document["listeners"][str(C)] == {
        "status": "OPEN",
        "stats": {"conns": 5, "rx": 10, "tx": 20, "totconns": 30, "ereq": 40},
    }
    assert document["pools"] == {f"{B}:{C}": {"status": "UP", "members": {str(D): "UP 1/2"}}}


def test_amphora_id_can_be_read_before_the_key_is_known() -> None:
    assert claimed_amphora_id(encode_heartbeat(a_heartbeat(), KEY)) == A
    assert claimed_amphora_id(signed(b'{"id": "x"}')) is None
    assert claimed_amphora_id(b"") is None


def test_any_of_several_keys_is_good_while_the_master_key_rotates() -> None:
    datagram = encode_heartbeat(a_heartbeat(), "the former key")

    assert decode_heartbeat(datagram, ["the new key", "the former key"]).amphora_id == A


def test_raw_code_of_old_amphorae_is_accepted() -> None:
    payload = zlib.compress(json.dumps({"id": str(A), "listeners": {}}).encode())

    heartbeat = decode_heartbeat(payload + hmac.digest(KEY.encode(), payload, "sha256"), [KEY])

    assert (heartbeat.amphora_id, heartbeat.version, heartbeat.sequence) == (A, 0, None)


def test_pools_inside_listeners_are_read_from_version_1() -> None:
    pools = {f"{B}:{C}": {"status": "UP", "members": {str(D): "no check"}}}
    document = {"id": str(A), "ver": 1, "listeners": {str(C): {"status": "OPEN", "stats": {"rx": 9}, "pools": pools}}}

    heartbeat = decode_heartbeat(signed(json.dumps(document).encode()), [KEY])

    assert heartbeat.pools == (PoolReport(B, C, "UP", {D: "no check"}),)
    assert not heartbeat.counters_are_growth
    assert heartbeat.listeners[C].counters == Counters(rx=9)


@pytest.mark.parametrize("keys", [[], [""], ["another key"]])
def test_heartbeat_of_an_unknown_key_is_refused(keys: list[str]) -> None:
    with pytest.raises(Tampered):
        decode_heartbeat(encode_heartbeat(a_heartbeat(), KEY), keys)


def test_every_changed_byte_is_noticed() -> None:
    datagram = encode_heartbeat(a_heartbeat(), KEY)

    for position in range(len(datagram)):
        changed = datagram[:position] + bytes([datagram[position] ^ 1]) + datagram[position + 1 :]
        with pytest.raises(Tampered):
            decode_heartbeat(changed, [KEY])


@given(st.binary(max_size=300))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(Tampered):
        decode_heartbeat(noise, [KEY])


@given(NONSENSE)
def test_authentic_nonsense_is_refused_as_malformed(document: object) -> None:
    with pytest.raises(Malformed):
        decode_heartbeat(signed(json.dumps(document).encode()), [KEY])


def test_bomb_is_refused_though_it_is_authentic() -> None:
    with pytest.raises(Oversized):
        decode_heartbeat(signed(b" " * 50_000_000), [KEY])


def test_bomb_of_a_stranger_is_not_even_inflated() -> None:
    with pytest.raises(Tampered):  # Oversized would tell that it was
        decode_heartbeat(signed(b" " * 50_000_000, "a stranger's key"), [KEY])


@pytest.mark.parametrize("document", [b"[" * 100_000, b"{", b"\xff\xfe", b'{"id": ' + b"1" * 5000 + b"}"])
def test_json_that_breaks_readers_is_malformed(document: bytes) -> None:
    with pytest.raises(Malformed):
        decode_heartbeat(signed(document), [KEY])


def test_stream_that_is_cut_off_is_malformed() -> None:
    payload = zlib.compress(b'{"id": "x"}')[:-4]

    with pytest.raises(Malformed):
        decode_heartbeat(payload + hmac.digest(KEY.encode(), payload, "sha256").hex().encode(), [KEY])


def test_5000_members_travel_in_several_datagrams_and_count_once() -> None:
    random_ids = random.Random(5)
    pools = tuple(
        PoolReport(uuid4(), C, "UP", {UUID(int=random_ids.getrandbits(128)): "UP" for _ in range(250)})
        for _ in range(20)
    )
    heartbeat = a_heartbeat()._replace(pools=pools)

    parts = [decode_heartbeat(datagram, [KEY]) for datagram in datagrams(heartbeat, KEY)]

    assert len(parts) > 1
    assert {pool.pool_id for part in parts for pool in part.pools} == {pool.pool_id for pool in pools}
    assert [part.sequence for part in parts] == list(range(3, 3 + len(parts)))
    assert all(part.additions and part.additions.partial and C in part.listeners for part in parts)
    assert sum(part.listeners[C].counters.rx for part in parts) == 10


def test_members_of_one_large_pool_are_shared_out_over_datagrams() -> None:
    random_ids = random.Random(5)
    members = {UUID(int=random_ids.getrandbits(128)): "UP" for _ in range(5000)}

    parts = [
        decode_heartbeat(datagram, [KEY])
        for datagram in datagrams(a_heartbeat()._replace(pools=(PoolReport(B, C, "UP", members),)), KEY)
    ]

    assert {id: words for part in parts for pool in part.pools for id, words in pool.members.items()} == members
    assert {pool.status for part in parts for pool in part.pools} == {"UP"}


def test_heartbeat_that_no_number_of_datagrams_can_carry_is_refused() -> None:
    random_ids = random.Random(5)
    members = {UUID(int=random_ids.getrandbits(128)): random_ids.randbytes(2_000).hex() for _ in range(5000)}

    with pytest.raises(WireError):
        datagrams(a_heartbeat()._replace(pools=(PoolReport(B, C, "UP", members),)), KEY)


def test_growth_of_a_counter_that_was_restarted_is_its_value() -> None:
    assert Counters(5, 100, 7, 1).since(Counters(3, 200, 7, 0)) == Counters(2, 100, 0, 1)


def test_stamp_of_a_file_is_its_first_line() -> None:
    stamp = Stamp(A, 12)

    assert stamp_of(f"{stamp}\nglobal\n") == stamp
    assert stamp_of(f"global\n{stamp}\n") is None
    assert stamp_of(f"{stamp} and more\n") is None
    assert stamp_of("") is None


def test_revisions_of_different_logs_are_not_compared() -> None:
    assert Stamp(A, 12).outdates(Stamp(A, 11))
    assert not Stamp(A, 12).outdates(Stamp(A, 12))
    assert not Stamp(A, 12).outdates(Stamp(B, 11))
    assert not Stamp(A, 12).outdates(None)


STATISTICS = f"""# pxname,svname,scur,slim,stot,bin,bout,ereq,status,weight,check_desc,
{C},FRONTEND,3,100,9,10,20,1,OPEN,,,
{D},FRONTEND,100,100,900,1,2,0,OPEN,,,
prometheus,FRONTEND,0,100,0,0,0,0,OPEN,,,
{B}:{C},{A},0,,0,0,0,,UP,1,"Layer7, ok",
{B}:{C},{C},0,,0,0,0,,UP 1/2,0,,
{B}:{C},{D},0,,0,0,0,,MAINT (via a/b),1,,
{B}:{C},BACKEND,0,10,0,0,0,0,UP,1,,

"""


def test_statistics_name_listeners_pools_and_members() -> None:
    statistics = parse_statistics(STATISTICS)

    assert statistics.listeners == {
        C: ListenerReport("OPEN", 3, Counters(10, 20, 9, 1)),
        D: ListenerReport("FULL", 100, Counters(1, 2, 900, 0)),
    }
    assert statistics.pools == (PoolReport(B, C, "UP", {A: "UP", C: "DRAIN", D: "MAINT"}),)


def test_empty_answer_is_no_statistics() -> None:
    assert parse_statistics("").listeners == {}


@pytest.mark.parametrize("header", ["", "<129>Nov 21 03:22:11 haproxy[4355]: "])
def test_edge_is_read_from_the_line_that_haproxy_logs(header: str) -> None:
    line = (
        f"{header}Server {B}:{C}/{D} is DOWN, reason: Layer4 connection problem, "
        'info: "Connection refused", check duration: 0ms. 0 active and 0 backup servers left.'
    )

    assert parse_edge(line, 5.0) == Edge(B, C, D, "DOWN", "Layer4 connection problem", 5.0)


@pytest.mark.parametrize(
    "line",
    [
        f"<134>Nov 21 03:22:11 haproxy[4355]: Server {B}:{C}/{D} is DOWN",  # severity info: a client's request
        f"<129>Nov 21 03:22:11 haproxy[4355]: 10.0.0.1 GET /haproxy[1]: Server {B}:{C}/{D} is DOWN",
        f"<129>Nov 21 03:22:11 haproxy[4355]: backend {B}:{C} has no server available!",
        "",
    ],
)
def test_other_lines_are_no_edges(line: str) -> None:
    assert parse_edge(line, 5.0) is None
