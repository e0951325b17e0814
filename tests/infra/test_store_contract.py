"""What commands and processes rely on when they save and load; PostgreSQL and the memory of tests promise the same."""

from threading import Event, Thread
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.persistence import DataError

from commands.ports import Attempt, Origin, OutdatedAttempt, Place
from domain.amphora import Amphora
from domain.errors import AddressTaken, ConcurrentChange, NotFound
from domain.fields import OperatingStatus, Position
from domain.health import LoadBalancerHealth
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import Batch, LoadBalancerSettings
from domain.progress import Kind
from domain.quota import Quota
from infra.event_store import ORDER_LOCK
from processes.actions import ApplyConfiguration
from processes.ports import Step
from tests.given import a_listener, a_load_balancer, a_member, a_pool, a_vip, confirm
from tests.infra.stores import Home, InPostgres


def saved(home: Home, load_balancer: LoadBalancer) -> LoadBalancer:
    home.store.save(load_balancer, origin=Origin())
    return home.store.load_balancer(load_balancer.id)


def named(load_balancer: LoadBalancer, name: str) -> LoadBalancer:
    load_balancer.change(LoadBalancerSettings(name=name))
    return load_balancer


def everything_after(home: Home, position: int = 0) -> list[object]:
    found = home.stream.read_after(0, Position(position), 1_000)
    return found and [each.event for each in found] + everything_after(home, found[-1].position)


# Saving and loading


def test_what_was_saved_is_loaded_again_with_its_whole_tree(home: Home) -> None:
    load_balancer = a_load_balancer()
    pool = a_pool()
    load_balancer.add_pool(pool)
    load_balancer.add_member(a_member(pool, address="2001:db8::1"))
    load_balancer.add_listener(a_listener(default_pool_id=pool.id, insert_headers={"X-Forwarded-For": "true"}))
    confirm(load_balancer)

    loaded = saved(home, load_balancer)

    assert vars(loaded) | {"_pending_events": []} == vars(load_balancer) | {"_pending_events": []}


def test_nothing_is_found_that_was_never_saved(home: Home) -> None:
    for find in (home.store.load_balancer, home.store.amphora):
        with pytest.raises(NotFound):
            find(uuid4())


def test_an_id_of_something_else_is_not_found(home: Home) -> None:
    load_balancer = saved(home, a_load_balancer())

    with pytest.raises(NotFound):
        home.store.amphora(load_balancer.id)


def test_an_aggregate_is_loaded_as_what_it_is(home: Home) -> None:
    quota = Quota.of("p")
    quota.change({Kind.LISTENER: 3})
    home.store.save(quota, origin=Origin())

    assert home.store.load(Quota, quota.id).limits == {Kind.LISTENER: 3}
    with pytest.raises(NotFound, match=f"Load Balancer {quota.id} not found."):
        home.store.load(LoadBalancer, quota.id)


def test_a_load_balancer_is_not_found_once_its_deletion_is_complete(home: Home) -> None:
    load_balancer = saved(home, a_load_balancer())
    load_balancer.delete(cascade=False)
    load_balancer.deletion_is_complete()
    home.store.save(load_balancer, origin=Origin())

    with pytest.raises(NotFound):
        home.store.load_balancer(load_balancer.id)
    assert home.store.load_balancer_at(load_balancer.id, 1).revision == 1


def test_an_older_tree_is_that_of_its_revision(home: Home) -> None:
    load_balancer = a_load_balancer()
    listener = a_listener()
    load_balancer.add_listener(listener)
    revision = load_balancer.revision
    load_balancer.remove_listener(listener.id)
    saved(home, load_balancer)

    assert listener.id in home.store.load_balancer_at(load_balancer.id, revision).tree.listeners
    assert listener.id not in home.store.load_balancer(load_balancer.id).tree.listeners


def test_what_was_loaded_and_changed_is_not_seen_by_others_before_it_is_saved(home: Home) -> None:
    load_balancer = saved(home, a_load_balancer())

    named(load_balancer, "mine")

    assert home.store.load_balancer(load_balancer.id).settings.name == ""


def test_rows_are_written_with_the_events(home: Home) -> None:
    load_balancer = a_load_balancer()
    listener = a_listener()
    load_balancer.add_listener(listener)
    saved(home, load_balancer)

    assert len(home.rows("load_balancers", load_balancer.id)) == 1
    assert len(home.rows("listeners", load_balancer.id)) == 1
    assert home.store.place_of(Kind.LISTENER, listener.id) == Place(load_balancer.id, "p")
    with pytest.raises(NotFound):
        home.store.place_of(Kind.POOL, listener.id)


def test_rows_of_what_is_gone_are_gone(home: Home) -> None:
    load_balancer = a_load_balancer()
    load_balancer.add_listener(a_listener())
    load_balancer = saved(home, load_balancer)
    load_balancer.delete(cascade=True)
    load_balancer.deletion_is_complete()
    home.store.save(load_balancer, origin=Origin())

    for table in ("load_balancers", "listeners", "addresses", "confirmations"):
        assert home.rows(table, load_balancer.id) == []


def measured(load_balancer: LoadBalancer) -> LoadBalancerHealth:
    health = LoadBalancerHealth.begin(load_balancer.id)
    health.measured({load_balancer.id: OperatingStatus.ONLINE})
    return health


def gone(home: Home, load_balancer: LoadBalancer) -> LoadBalancer:
    load_balancer.delete(cascade=True)
    load_balancer.deletion_is_complete()
    home.store.save(load_balancer, origin=Origin())
    return load_balancer


def test_health_is_recorded_of_what_is_there_or_comes_with_it(home: Home) -> None:
    first, second = saved(home, a_load_balancer()), a_load_balancer()

    home.store.save(measured(first), origin=Origin())
    home.store.save(second, measured(second), origin=Origin())

    assert len(home.rows("operating_statuses", first.id)) == 1
    assert len(home.rows("operating_statuses", second.id)) == 1


def test_health_of_what_is_gone_is_not_recorded(home: Home) -> None:
    deleted, well = gone(home, saved(home, a_load_balancer())), saved(home, a_load_balancer())
    events = len(everything_after(home))

    with pytest.raises(NotFound):
        home.store.save(measured(well), measured(deleted), origin=Origin())

    assert len(everything_after(home)) == events
    assert home.rows("operating_statuses", deleted.id) == []
    assert home.rows("operating_statuses", well.id) == []
    home.store.save(measured(well), origin=Origin())


def test_several_aggregates_are_saved_together_or_not_at_all(home: Home) -> None:
    load_balancer = saved(home, a_load_balancer())
    stale = home.store.load_balancer(load_balancer.id)
    home.store.save(named(load_balancer, "first"), origin=Origin())
    amphora = Amphora.request(uuid4(), load_balancer_id=load_balancer.id)

    with pytest.raises(ConcurrentChange):
        home.store.save(amphora, named(stale, "second"), origin=Origin())

    with pytest.raises(NotFound):
        home.store.amphora(amphora.id)
    assert home.rows("amphorae", load_balancer.id) == []


def test_the_log_tells_whether_a_command_was_carried_out_and_when(home: Home) -> None:
    origin = Origin()
    before = home.store.was_carried_out(origin.command_id)

    recorded_at = home.store.save(a_load_balancer(), origin=origin)

    assert not before
    assert home.store.was_carried_out(origin.command_id)
    assert recorded_at is not None


def test_nothing_decided_is_nothing_recorded(home: Home) -> None:
    load_balancer = saved(home, a_load_balancer())

    assert home.store.save(load_balancer, origin=Origin()) is None


# Conflicts


def test_the_slower_of_two_writers_is_told_and_nothing_of_it_is_stored(home: Home) -> None:
    first = saved(home, a_load_balancer())
    second = home.store.load_balancer(first.id)
    home.store.save(named(first, "first"), origin=Origin())
    origin = Origin()

    with pytest.raises(ConcurrentChange):
        home.store.save(named(second, "second"), origin=origin)

    assert home.store.load_balancer(first.id).settings.name == "first"
    assert not home.store.was_carried_out(origin.command_id)


def test_a_command_is_recorded_once(home: Home) -> None:
    origin = Origin()
    home.store.save(a_load_balancer(), origin=origin)

    with pytest.raises(ConcurrentChange):
        home.store.save(a_load_balancer(), origin=origin)


def test_an_address_has_one_owner_on_its_network_however_it_is_written(home: Home) -> None:
    network_id = uuid4()
    owner = saved(home, a_load_balancer(vip=a_vip(network_id=network_id, address="2001:db8::1")))
    same = a_vip(network_id=network_id, address="2001:db8:0:0::1")

    with pytest.raises(AddressTaken):
        home.store.save(a_load_balancer(vip=same), origin=Origin())
    saved(home, a_load_balancer(vip=a_vip(address="2001:db8::1")))

    owner.delete(cascade=False)
    owner.deletion_is_complete()
    home.store.save(owner, origin=Origin())
    saved(home, a_load_balancer(vip=same))


def test_an_address_that_is_nobodys_is_shared(home: Home) -> None:
    vip = a_vip(is_exclusive=False)

    saved(home, a_load_balancer(vip=vip))
    saved(home, a_load_balancer(vip=vip))


# Outcomes of actions


def an_attempt(home: Home, load_balancer_id: UUID, wanted: int = 0) -> Attempt:
    action = ApplyConfiguration(load_balancer_id=load_balancer_id, wanted=wanted)
    home.ledger.advance(str(uuid4()), 0, lambda position: Step(reached=Position(position + 1), reactions=[action]))
    (claim,) = home.queue.claim("worker", 1)
    return claim.attempt


def test_an_outcome_ends_its_action(home: Home) -> None:
    load_balancer = saved(home, a_load_balancer())
    attempt = an_attempt(home, load_balancer.id)

    home.store.save(named(load_balancer, "new"), origin=Origin(), completing=attempt)

    assert home.actions() == []


def test_an_outcome_that_is_no_news_ends_its_action_too(home: Home) -> None:
    load_balancer = saved(home, a_load_balancer())
    attempt = an_attempt(home, load_balancer.id)

    home.store.save(load_balancer, origin=Origin(), completing=attempt)

    assert home.actions() == []
    with pytest.raises(OutdatedAttempt):
        home.store.save(load_balancer, origin=Origin(), completing=attempt)


def test_the_outcome_of_an_outdated_attempt_stores_nothing(home: Home) -> None:
    load_balancer = saved(home, a_load_balancer())
    attempt = an_attempt(home, load_balancer.id)
    home.advance(6)
    home.queue.claim("another worker", 1)

    with pytest.raises(OutdatedAttempt):
        home.store.save(named(load_balancer, "late"), origin=Origin(), completing=attempt)

    assert home.store.load_balancer(load_balancer.id).settings.name == ""
    assert len(home.actions()) == 1


def test_a_conflict_does_not_end_the_action(home: Home) -> None:
    load_balancer = saved(home, a_load_balancer())
    stale = home.store.load_balancer(load_balancer.id)
    attempt = an_attempt(home, load_balancer.id)
    home.store.save(named(load_balancer, "first"), origin=Origin())

    with pytest.raises(ConcurrentChange):
        home.store.save(named(stale, "second"), origin=Origin(), completing=attempt)

    assert len(home.actions()) == 1


# The log


def test_the_log_holds_every_event_in_the_order_of_the_saves(home: Home) -> None:
    load_balancer = saved(home, a_load_balancer())
    home.store.save(named(load_balancer, "one"), origin=Origin())
    home.store.save(named(load_balancer, "two"), origin=Origin())

    events = everything_after(home)

    assert [type(event).__name__ for event in events] == ["Created", "Changed", "Changed"]
    assert [event.settings.name for event in events] == ["", "one", "two"]  # type: ignore[attr-defined]


def test_the_log_is_read_in_pieces(home: Home) -> None:
    for _ in range(5):
        saved(home, a_load_balancer())

    first = home.stream.read_after(0, Position(0), 3)
    rest = home.stream.read_after(0, first[-1].position, 3)

    assert (len(first), len(rest)) == (3, 2)
    assert home.stream.read_after(0, rest[-1].position, 3) in ([], ())
    positions = [each.position for each in (*first, *rest)]
    assert positions == sorted(set(positions))


def test_a_wait_ends_when_something_was_saved(home: Home) -> None:
    home.stream.wait(0.5)  # what the start of listening brought
    waited = Event()
    waiter = Thread(target=lambda: (home.stream.wait(30), waited.set()))
    waiter.start()

    saved(home, a_load_balancer())

    assert waited.wait(5)
    waiter.join()


def test_a_big_save_goes_through(home: Home) -> None:
    load_balancer = a_load_balancer()
    pool = a_pool()
    load_balancer.add_pool(pool)
    for number in range(900):
        load_balancer.change_pool(a_pool(id=pool.id, description="x" * 255, name=f"{number}"))
    members = [a_member(pool, protocol_port=port, name="y" * 255) for port in range(1, 5_001)]
    load_balancer.replace_members(pool.id, Batch(added=tuple(members)))
    amphorae = [Amphora.request(uuid4(), load_balancer_id=load_balancer.id) for _ in range(2_100)]

    home.store.save(load_balancer, *amphorae, origin=Origin())

    assert len(home.store.load_balancer(load_balancer.id).tree.members) == 5_000
    assert len(home.rows("members", load_balancer.id)) == 5_000
    assert len(everything_after(home)) == 903 + 2_100


def test_a_reader_of_the_log_misses_nothing_of_sixteen_writers(home: Home) -> None:
    ids = [saved(home, a_load_balancer()).id for _ in range(16)]
    done = Event()
    seen: list[object] = []

    def read() -> None:
        position = Position(0)
        while True:
            is_last_look = done.is_set()
            found = home.stream.read_after(0, position, 7)
            seen.extend((each.event.originator_id, each.event.originator_version) for each in found)  # type: ignore[attr-defined]
            if found:
                position = found[-1].position
            elif is_last_look:
                return

    def write(id: UUID) -> None:
        for number in range(20):
            home.store.save(named(home.store.load_balancer(id), str(number)), origin=Origin())

    reader = Thread(target=read)
    writers = [Thread(target=write, args=(id,)) for id in ids]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()

    assert len(seen) == 16 * 21
    assert set(seen) == {(id, version) for id in ids for version in range(1, 22)}
    for id in ids:
        versions = [version for seen_id, version in seen if seen_id == id]  # type: ignore[misc]
        assert versions == sorted(versions)


# PostgreSQL alone


@pytest.mark.postgres
def test_connections_that_die_while_saving_lose_and_double_nothing(postgres: InPostgres) -> None:
    load_balancer = saved(postgres, a_load_balancer())
    stop = Event()

    def kill() -> None:
        with psycopg.connect(postgres.database, autocommit=True) as connection:
            while not stop.wait(0.03):
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    " AND query LIKE '%%tacitus_events%%'"
                )

    killer = Thread(target=kill)
    killer.start()
    try:
        for number in range(40):
            postgres.store.save(named(load_balancer, str(number)), origin=Origin())
            load_balancer = loaded_in_spite_of_kills(postgres, load_balancer.id)
    finally:
        stop.set()
        killer.join()

    names = [event.settings.name for event in everything_after(postgres)]  # type: ignore[attr-defined]
    assert names == ["", *map(str, range(40))]


def loaded_in_spite_of_kills(home: Home, id: UUID) -> LoadBalancer:
    while True:
        try:
            return home.store.load_balancer(id)
        except Exception:
            continue


@pytest.mark.postgres
def test_a_save_that_cannot_be_sent_as_a_whole_leaves_nothing(postgres: InPostgres) -> None:
    load_balancer = a_load_balancer()

    with pytest.raises(DataError):
        postgres.store.save(load_balancer, origin=Origin(project_id="text that\0 has no place"))

    assert postgres.rows("load_balancers", load_balancer.id) == []
    assert everything_after(postgres) in ([], ())
    saved(postgres, a_load_balancer(load_balancer.id))


@pytest.mark.postgres
def test_rows_follow_the_log_when_what_was_measured_is_deleted_meanwhile(postgres: InPostgres) -> None:
    """The deletion begins while the first measured rows are written and nobody sees them yet."""
    load_balancer = saved(postgres, a_load_balancer())
    health = measured(load_balancer)
    measuring = Thread(target=lambda: postgres.store.save(health, origin=Origin()))
    deleting = Thread(target=lambda: gone(postgres, load_balancer))

    with psycopg.connect(postgres.database) as nobody_appends:
        nobody_appends.execute("SELECT pg_advisory_lock(%s)", (ORDER_LOCK,))
        measuring.start()
        wait_until_they_wait(postgres, 1)
        deleting.start()
        wait_until_they_wait(postgres, 2)
    measuring.join()
    deleting.join()

    topics = [type(event).__name__ for event in everything_after(postgres)]
    assert topics == ["Created", "Created", "HealthChanged", "DeletionRequested", "Deleted"]
    assert postgres.rows("operating_statuses", load_balancer.id) == []


def wait_until_they_wait(postgres: InPostgres, sessions: int) -> None:
    """For a lock, so many of them."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(postgres.database, autocommit=True) as connection:
        while connection.execute(sql).fetchone() != (sessions,):
            pass


@pytest.mark.postgres
def test_commit_records_are_in_the_order_of_the_log(postgres: InPostgres) -> None:
    for _ in range(5):
        saved(postgres, a_load_balancer())

    with postgres.pool.connection() as connection:
        rows = connection.execute("SELECT position, recorded_at FROM commits ORDER BY position").fetchall()

    assert len(rows) == 5
    assert [row[1] for row in rows] == sorted(row[1] for row in rows)


@pytest.mark.postgres
def test_row_that_is_appended_with_its_event_has_the_time_of_its_commit(postgres: InPostgres) -> None:
    """Also where that is not the time of the transaction, because somebody was faster whose transaction began later."""
    saved(postgres, a_load_balancer())
    with psycopg.connect(postgres.database) as owner:
        owner.execute("UPDATE commits SET recorded_at = recorded_at + interval '1 hour'")
    alone = a_load_balancer(amphora_ids=(), vip=a_vip(is_exclusive=False))

    saved(postgres, alone)

    with postgres.pool.connection() as connection:
        sql = (
            "SELECT b.created_at = c.recorded_at AT TIME ZONE 'UTC' AND c.recorded_at > now()"
            " FROM load_balancers b JOIN commits c ON c.command_id = b.created_by WHERE b.id = %s"
        )
        assert connection.execute(sql, (alone.id,)).fetchone() == (True,)
