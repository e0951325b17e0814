"""Faults planted in a log, one for each rule of `tacitus verify`, and the words that find it."""

from collections.abc import Callable
from uuid import uuid4

from domain.amphora import Amphora
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import LoadBalancerSettings
from domain.progress import Blame
from tests.given import a_listener, a_load_balancer, a_vip
from tests.infra.annals import Annals, built

Plant = Callable[[Annals], object]


def without_the_last_commit(annals: Annals) -> None:
    annals.sql("DELETE FROM commits WHERE position = (SELECT max(position) FROM commits)")


def commit_of_nothing(annals: Annals) -> None:
    annals.sql("INSERT INTO commits VALUES (%s, 1000, now(), NULL, '', '')", uuid4())


def time_goes_back(annals: Annals) -> None:
    annals.sql("UPDATE commits SET recorded_at = now() - interval '1 hour' WHERE position = %s", annals.end)


def lost_in_the_middle(annals: Annals) -> None:
    amphora = Amphora.request(uuid4(), load_balancer_id=annals.serving.id)
    annals.save(built(amphora))
    annals.sql("DELETE FROM tacitus_events WHERE notification_id = %s", annals.end - 2)


def unknown_topic(annals: Annals) -> None:
    annals.sql("UPDATE tacitus_events SET topic = 'Surmise' WHERE notification_id = %s", annals.end)


def garbled(annals: Annals) -> None:
    annals.sql("UPDATE tacitus_events SET state = '[]' WHERE notification_id = %s", annals.end)


def version_left_out(annals: Annals) -> None:
    annals.record(annals.next_of(annals.serving, LoadBalancer.Changed, ahead=2, settings=LoadBalancerSettings()))


def goes_on_after_its_end_with_a_gap(annals: Annals) -> None:
    annals.record(annals.next_of(annals.gone_amphora, Amphora.AgentConfigured, ahead=3))


def out_of_order(annals: Annals) -> None:
    end = annals.end
    for before, after in ((end - 1, 5000), (end - 2, end - 1), (5000, end - 2)):
        annals.sql("UPDATE tacitus_events SET notification_id = %s WHERE notification_id = %s", after, before)


STRUCTURE: dict[str, tuple[Plant, str]] = {
    "no commit": (without_the_last_commit, "belongs to no commit"),
    "no event": (commit_of_nothing, "position 1000: commit .* ends with an event that is not there"),
    "time": (time_goes_back, "was recorded at .*, yet the commit before it at"),
    "lost event": (lost_in_the_middle, "belong to one commit, yet nothing is left of what lay between"),
    "unknown event": (unknown_topic, "Surmise .* has an event that cannot be read"),
    "garbled event": (garbled, "has an event that cannot be read: Expected"),
    "version": (version_left_out, r"LoadBalancerChanged of .* has version (\d+) after version"),
    "version of what has ended": (goes_on_after_its_end_with_a_gap, "AmphoraAgentConfigured of .* has version 9 after"),
    "order": (out_of_order, "has version .* after version"),
}


def two_owners(annals: Annals) -> None:
    annals.record(a_load_balancer(vip=annals.serving.vip).pending_events[0])


def created_twice(annals: Annals) -> None:
    again = a_load_balancer(annals.serving.id, vip=a_vip(address="127.20.0.77")).pending_events[0]
    object.__setattr__(again, "originator_version", annals.serving.version + 1)
    annals.record(again)


def never_created(annals: Annals) -> None:
    annals.record(annals.next_of(a_load_balancer(), LoadBalancer.Changed, settings=LoadBalancerSettings()))


def changed_while_it_goes(annals: Annals) -> None:
    annals.serving.delete(cascade=True)
    annals.save(annals.serving)
    annals.record(annals.next_of(annals.serving, LoadBalancer.ListenerAdded, listener=a_listener()))


def revision_falls(annals: Annals) -> None:
    """The event has the number of an earlier one, which is gone."""
    annals.sql("DELETE FROM tacitus_events WHERE originator_id = %s AND originator_version = 3", annals.serving.id)
    late = annals.next_of(annals.serving, LoadBalancer.Changed, settings=LoadBalancerSettings())
    object.__setattr__(late, "originator_version", 3)
    annals.record(late)


def replaces_a_stranger(annals: Annals) -> None:
    event = annals.next_of(
        annals.serving,
        LoadBalancer.AmphoraReplaced,
        amphora_id=uuid4(),
        replacement_id=uuid4(),
        reason="",
        reached=annals.confirmation(0).confirmation.reached,
    )
    annals.record(event)


def refuses_what_is_to_come(annals: Annals) -> None:
    blame = Blame(ref=annals.serving.ref, mark=99, held=0, words="no")  # type: ignore[arg-type]
    refused = {"amphora_id": annals.amphora.id, "revision": 1, "blamed": (blame,)}
    annals.record(annals.next_of(annals.serving, LoadBalancer.ConfigurationRefused, **refused))


def settled_beyond(annals: Annals) -> None:
    annals.record(annals.next_of(annals.serving, LoadBalancer.DeadlinePassed, settled=99, step="", reason=""))


def half_confirmed(annals: Annals) -> None:
    """Two amphorae, of which one confirmed."""
    it = a_load_balancer(amphora_ids=(uuid4(), uuid4()), vip=a_vip(address="127.20.0.50"))
    it.configuration_is_applied(it.amphora_ids[0], it.revision, "sha")
    it.change(LoadBalancerSettings(name="x"))
    it.configuration_is_applied(it.amphora_ids[1], it.revision, "sha")
    confirmed = it.pending_events[-1]
    object.__setattr__(confirmed.confirmation.reached, "applied", it.revision)
    for event in it.pending_events:
        annals.record(event)


def revision_of(annals: Annals) -> int:
    return annals.serving.revision


LOAD_BALANCERS: dict[str, tuple[Plant, str]] = {
    "two owners": (two_owners, r"is given 127\.20\.0\.7 on network .*, which load balancer .* owns"),
    "created twice": (created_twice, "is created a second time"),
    "never created": (never_created, "told of by LoadBalancerChanged, yet it was never created"),
    "changed while it goes": (changed_while_it_goes, "changed by ListenerAdded, yet its deletion was asked for"),
    "revision falls": (revision_falls, r"is changed with revision 3, yet it is at revision \d"),
    "confirmed too much": (
        lambda it: it.record(it.confirmation(revision_of(it) + 1)),
        r"confirms revision \d+ of load balancer .*, which is at revision",
    ),
    "confirmed backwards": (
        lambda it: it.record(it.confirmation(revision_of(it) - 1)),
        r"confirms revision \d+ of load balancer .* after revision",
    ),
    "confirmed by a stranger": (
        lambda it: it.record(it.confirmation(revision_of(it), amphora_id=uuid4())),
        "confirms for load balancer .*, whose amphora it is not",
    ),
    "applied falls": (
        lambda it: it.record(it.confirmation(revision_of(it), applied=1)),
        r"falls back from applied revision \d+ to 1",
    ),
    "applied before all confirmed": (half_confirmed, "as applied, which not all amphorae in service confirmed"),
    "settled falls": (
        lambda it: it.record(it.confirmation(revision_of(it), settled=2)),
        r"is settled up to revision 2 after revision",
    ),
    "settled below applied": (
        lambda it: it.record(it.confirmation(revision_of(it), settled=2)),
        r"applied, yet settled only up to 2",
    ),
    "settled too much": (settled_beyond, "is settled up to revision 99, yet it is at revision"),
    "refused too much": (refuses_what_is_to_come, "refuses revision 99 of load balancer"),
    "replaced a stranger": (replaces_a_stranger, "is replaced in load balancer .*, whose amphora it is not"),
}


def amphora_event(event_class: type[Amphora.Event], **values: object) -> Plant:
    """Happens to the amphora that is in service."""
    return lambda it: it.record(it.next_of(it.amphora, event_class, **values))


def asked_for_twice(annals: Annals) -> None:
    again = Amphora.request(annals.amphora.id, load_balancer_id=annals.serving.id).pending_events[0]
    object.__setattr__(again, "originator_version", annals.amphora.version + 1)
    annals.record(again)


AMPHORAE: dict[str, tuple[Plant, str]] = {
    "booted while in service": (amphora_event(Amphora.Booted, compute_id="x"), "in service, where AmphoraBooted"),
    "reachable while in service": (
        amphora_event(Amphora.BecameReachable, management_address="", haproxy_version=""),
        "is in service, where AmphoraBecameReachable cannot happen",
    ),
    "plugged while in service": (
        lambda it: it.record(it.next_of(it.amphora, Amphora.VipPlugged, load_balancer_id=it.serving.id)),
        "is in service, where AmphoraVipPlugged cannot happen",
    ),
    "in service twice": (
        lambda it: it.record(it.next_of(it.amphora, Amphora.EnteredService, load_balancer_id=it.serving.id)),
        "is in service, where AmphoraEnteredService cannot happen",
    ),
    "failed while in service": (
        lambda it: it.record(
            it.next_of(it.amphora, Amphora.Failed, load_balancer_id=it.serving.id, step="", reason="")
        ),
        "is in service, where AmphoraFailed cannot happen",
    ),
    "removal asked for while in service": (
        lambda it: it.record(it.next_of(it.amphora, Amphora.RemovalRequested, load_balancer_id=it.serving.id)),
        "is in service, where AmphoraRemovalRequested cannot happen",
    ),
    "removal overdue while in service": (
        amphora_event(Amphora.RemovalOverdue, reason=""),
        "is in service, where AmphoraRemovalOverdue cannot happen",
    ),
    "left service twice": (
        lambda it: [it.record(it.next_of(it.amphora, Amphora.LeftService, ahead=ahead, reason="")) for ahead in (1, 2)],
        "is out of service, where AmphoraLeftService cannot happen",
    ),
    "after its removal": (
        lambda it: it.record(it.next_of(it.gone_amphora, Amphora.AgentConfigured)),
        "told of by AmphoraAgentConfigured, yet it was never asked for or is removed",
    ),
    "asked for twice": (asked_for_twice, "is asked for a second time"),
}


def change_that_waits(annals: Annals) -> None:
    annals.serving.change(LoadBalancerSettings(name="later"))
    annals.save(annals.serving)
    annals.age(1)


def change_that_waited(annals: Annals) -> None:
    change_that_waits(annals)
    annals.serving.configuration_is_applied(annals.amphora.id, annals.serving.revision, "sha")
    annals.save(annals.serving)


def change_given_up_late(annals: Annals) -> None:
    change_that_waits(annals)
    annals.record(
        annals.next_of(annals.serving, LoadBalancer.DeadlinePassed, settled=annals.serving.revision, step="", reason="")
    )


def deletion_that_waits(annals: Annals) -> None:
    annals.serving.delete(cascade=True)
    annals.save(annals.serving)
    annals.age(1)


def deletion_that_waited(annals: Annals) -> None:
    deletion_that_waits(annals)
    annals.serving.deletion_is_complete()
    annals.save(annals.serving)


def build_that_waits(annals: Annals) -> Amphora:
    it = a_load_balancer(vip=a_vip(address="127.20.0.50"))
    amphora = Amphora.request(it.amphora_ids[0], load_balancer_id=it.id)
    annals.save(it, amphora)
    annals.age(1)
    return amphora


def build_that_waited(annals: Annals) -> None:
    annals.save(built(build_that_waits(annals)))


def removal_that_waits(annals: Annals) -> None:
    amphora = Amphora.request(uuid4(), load_balancer_id=annals.serving.id)
    amphora.failed("boot", "no host")
    amphora.request_removal()
    annals.save(amphora)
    annals.age(1)


DEADLINES: dict[str, tuple[Plant, str]] = {
    "change waits": (change_that_waits, r"waits for revision \d+ since .*, past its deadline"),
    "change waited": (change_that_waited, r"has the outcome of revision \d+, asked for at .*, only at"),
    "change given up late": (change_given_up_late, r"has the outcome of revision \d+, asked for at .*, only at"),
    "deletion waits": (deletion_that_waits, "is being deleted since .*, past its deadline"),
    "deletion waited": (deletion_that_waited, "has the outcome of its deletion, asked for at .*, only at"),
    "creation waits": (build_that_waits, "load balancer .* waits for revision 1 since .*, past its deadline"),
    "build waits": (build_that_waits, "amphora .* is being built since .*, past its deadline"),
    "build waited": (build_that_waited, "amphora .* was asked for at .*, and only at .* was it built"),
    "removal waits": (removal_that_waits, "amphora .* is being removed since .*, past its deadline"),
}


def spoilt(statement: str) -> Plant:
    return lambda it: it.sql(statement)


def left_over(annals: Annals) -> None:
    annals.sql("UPDATE listeners SET load_balancer_id = %s", annals.gone.id)


def action_on_what_is_gone(annals: Annals) -> None:
    annals.sql(
        "INSERT INTO actions (kind, object_id, lane, priority, payload, due_at, deadline)"
        " VALUES ('BuildAmphora', %s, 'x', 1, '{}', now() - interval '1 hour', now())",
        annals.gone_amphora.id,
    )


def consumer_ahead(annals: Annals) -> None:
    annals.sql("INSERT INTO positions (consumer, position) VALUES ('somebody', 5000)")


def topic_ahead(annals: Annals) -> None:
    annals.sql("INSERT INTO published (topic, partition, position) VALUES ('annals', 0, 5000)")


ROWS: dict[str, tuple[Plant, str]] = {
    "load balancer without row": (
        lambda it: it.sql("DELETE FROM load_balancers WHERE id = %s", it.remote.id),
        "has no row, yet by the events it is there",
    ),
    "row without load balancer": (
        lambda it: it.sql("UPDATE load_balancers SET id = %s WHERE id = %s", it.gone.id, it.remote.id),
        "has a row, yet by the events it is not there",
    ),
    "applied": (spoilt("UPDATE load_balancers SET applied = 99"), r"has applied and settled 99, \d+ in its row"),
    "settled": (spoilt("UPDATE load_balancers SET settled = 99"), r"has applied and settled \d+, 99 in its row"),
    "stage": (spoilt("UPDATE amphorae SET stage = 'booting'"), "is booting in its row, by the events in service"),
    "amphora without row": (spoilt("DELETE FROM amphorae"), "amphora .* has no row, yet by the events it is there"),
    "row without amphora": (
        lambda it: it.sql("UPDATE amphorae SET id = %s WHERE id = %s", it.gone_amphora.id, it.amphora.id),
        "amphora .* has a row, yet by the events it is not there",
    ),
    "address without row": (spoilt("DELETE FROM addresses"), "has no row, yet load balancer .* owns it"),
    "address of another": (
        lambda it: it.sql("UPDATE addresses SET load_balancer_id = %s", it.remote.id),
        "belongs to load balancer .* in its row, by the events to",
    ),
    "left over": (left_over, "is gone, yet 1 rows of listeners are left of it"),
    "quota": (
        spoilt("UPDATE quota_uses SET in_use = 7 WHERE kind = 'pools'"),
        "project 'p' is charged with 7 pools, yet it has 1",
    ),
    "consumer ahead": (consumer_ahead, "consumer somebody is at position 5000, beyond the end of the log"),
    "topic ahead": (topic_ahead, "topic annals is at position 5000, beyond the end of the log"),
    "action": (action_on_what_is_gone, "action BuildAmphora on .* is due since .*, yet its object is gone"),
    "document": (
        spoilt("""UPDATE pools SET document = document || '{"name": "rumour"}'"""),
        "has document .*rumour.* in row .* of pools, its events say",
    ),
    "mark": (spoilt("UPDATE members SET touched = 99"), r"has touched 99 in row .* of members, its events say"),
    "row missing": (spoilt("DELETE FROM l7_rules"), "has no row .* in l7_rules, yet its events make one"),
    "row too many": (
        spoilt("UPDATE health_monitors SET id = gen_random_uuid()"),
        "has a row .* in health_monitors, which its events do not make",
    ),
    "measured": (
        spoilt("UPDATE operating_statuses SET status = 'ERROR'"),
        "has status 'ERROR' in row .* of operating_statuses, its events say",
    ),
}

FAULTS = {**STRUCTURE, **LOAD_BALANCERS, **AMPHORAE, **DEADLINES, **ROWS}
