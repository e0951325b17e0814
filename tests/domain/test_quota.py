"""The limits of a project: what is set, what is the default again, and what is no change."""

from domain.progress import Kind
from domain.quota import COUNTED, NAMES, Quota, QuotaDefaults


def news_of(quota: Quota) -> list[str]:
    return [type(event).__name__ for event in quota.pending_events]


def test_a_project_has_one_quota() -> None:
    assert Quota.of("weaving").id == Quota.of("weaving").id == Quota.create_id("weaving")
    assert Quota.create_id("weaving") != Quota.create_id("history")


def test_what_is_not_named_stays() -> None:
    quota = Quota.of("weaving")
    quota.change({Kind.POOL: 1, Kind.MEMBER: 2})

    quota.change({Kind.MEMBER: 3})

    assert quota.limits == {Kind.POOL: 1, Kind.MEMBER: 3}


def test_none_is_the_default_again() -> None:
    quota = Quota.of("weaving")
    quota.change({Kind.POOL: 1, Kind.MEMBER: 2})

    quota.change({Kind.MEMBER: None})

    assert quota.limits == {Kind.POOL: 1}


def test_an_event_says_all_limits_that_are_set() -> None:
    quota = Quota.of("weaving")
    quota.change({Kind.POOL: 1})
    quota.change({Kind.MEMBER: -1})

    changed = quota.pending_events[-1]

    assert isinstance(changed, Quota.Changed)
    assert changed.limits == {Kind.POOL: 1, Kind.MEMBER: -1}


def test_no_news_is_no_event() -> None:
    quota = Quota.of("weaving")
    quota.change({Kind.POOL: None})
    quota.reset()
    before_anything_was_set = news_of(quota)
    quota.change({Kind.POOL: 1})
    quota.change({Kind.POOL: 1})
    quota.reset()

    quota.reset()

    assert before_anything_was_set == ["Created"]
    assert news_of(quota) == ["Created", "Changed", "Reset"]
    assert quota.limits == {}


def test_every_kind_of_object_is_counted_and_has_a_name_and_a_default() -> None:
    assert set(COUNTED) == set(NAMES) == set(Kind)
    assert {QuotaDefaults().of(kind) for kind in Kind} == {-1}
    assert QuotaDefaults(l7_rule=3).of(Kind.L7_RULE) == 3
