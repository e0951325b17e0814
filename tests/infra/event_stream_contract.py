"""What every processes.ports.EventStream promises, whoever carries the events."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from threading import Thread
from uuid import UUID, uuid4

from domain import load_balancer_events as events
from domain.fields import Position
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import LoadBalancerSettings
from processes.ports import EventStream, Recorded
from tests.given import a_load_balancer

Append = Callable[[LoadBalancer], None]
SLOW_LOOK_SECONDS = 5.0


def first_of(stream: EventStream, count: int, page: int = 100) -> list[list[Recorded]]:
    """Read as a consumer does: each partition page by page, behind its last position, until `count` came in all."""
    read: dict[int, list[Recorded]] = {}
    while sum(map(len, read.values())) < count:
        news = 0
        for partition in stream.partitions():
            known = read.setdefault(partition, [])
            items = stream.read_after(partition, known[-1].position if known else Position(0), page)
            known += items
            news += len(items)
        if not news:
            stream.wait(SLOW_LOOK_SECONDS)
    return list(read.values())


def positions_grow_and_pages_join_without_gaps(stream: EventStream, append: Append) -> None:
    for _ in range(7):
        append(a_load_balancer())

    by_threes = first_of(stream, 7, page=3)

    assert in_order(by_threes) == in_order(first_of(stream, 7))
    assert len(in_order(by_threes)) == 7
    for partition in by_threes:
        assert all(before.position < after.position for before, after in pairwise(partition))


def what_was_put_aside_is_found_again(stream: EventStream, append: Append) -> None:
    for _ in range(3):
        append(a_load_balancer())
    first, _, third = in_order(first_of(stream, 3))

    assert list(stream.read_at([third.position, first.position])) == [first, third]


def in_order(partitions: Iterable[Iterable[Recorded]]) -> list[Recorded]:
    return sorted((item for partition in partitions for item in partition), key=lambda item: item.position)


def events_of_one_load_balancer_keep_their_order(stream: EventStream, append: Append) -> None:
    """Many writers at once: whoever reads while they write misses nothing and sees each stream in its order."""
    load_balancers = [a_load_balancer(id=uuid4()) for _ in range(8)]

    def write(load_balancer: LoadBalancer) -> None:
        append(load_balancer)
        for n in range(10):
            load_balancer.change(LoadBalancerSettings(name=str(n)))
            append(load_balancer)

    writers = [Thread(target=write, args=(load_balancer,)) for load_balancer in load_balancers]
    for writer in writers:
        writer.start()
    read = first_of(stream, 8 * 11, page=10)
    for writer in writers:
        writer.join()

    versions: dict[UUID, list[int]] = {}
    for partition in read:
        for item in partition:
            assert isinstance(item.event, events.Event)
            assert item.stream == item.event.originator_id
            versions.setdefault(item.stream, []).append(item.event.originator_version)
    assert versions == {load_balancer.id: list(range(1, 12)) for load_balancer in load_balancers}
