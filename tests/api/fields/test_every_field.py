"""Each field by itself: its limits, null, wrong types and absence, on creation and on change."""

from typing import Any

import pytest
from falcon.testing import Result

from tests.api.fields.answers import require_refused, require_shown
from tests.api.fields.field import ABSENT, UNCHANGED, Document, Field, Good, Refused
from tests.api.fields.tables import FIELDS
from tests.api.fields.tree import KINDS, Tree

pytestmark = pytest.mark.postgres

CREATED = [field for field in FIELDS if field.of != "quota"]
CHANGED = [field for field in FIELDS if not field.fixed]
FIXED = [field for field in FIELDS if field.fixed]


def each_of(fields: list[Field]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("field", fields, ids=[field.id for field in fields])


def argument_of_change(field: Field) -> str:
    kind = KINDS[field.of]
    return kind.argument_of_change or kind.argument


def status_of_change(field: Field) -> int:
    return 202 if field.of == "quota" else 200


def object_of(result: Result, of: str, status: int) -> Document:
    assert result.status_code == status, result.text
    found: Document = result.json[of]
    return found


def one_to_change(tree: Tree, field: Field) -> Document:
    """With the first good value, if there has to be one."""
    if field.of == "quota":
        return tree.show("quota", {"project_id": tree.project})
    first = field.goods[0] if isinstance(field.absent, Refused) and field.goods else None
    said = {} if first is None else {**first.beside, field.name: first.sent}
    return tree.make(field.of, **{**field.beside, **said})


@each_of(CREATED)
def test_creation_shows_what_is_allowed(tree: Tree, field: Field) -> None:
    for good in field.goods:
        said = tree.resolved({**field.beside, **good.beside, field.name: good.sent})
        created = object_of(tree.create(field.of, {**field.beside, **said}), field.of, 201)

        require_shown(field, created, said[field.name], good)
        require_shown(field, tree.show(field.of, created), said[field.name], good)


@each_of(CREATED)
def test_creation_without_it_or_with_null_shows_what_that_means(tree: Tree, field: Field) -> None:
    for sent, expected in ((ABSENT, field.absent), (None, field.on_post)):
        result = tree.create(field.of, {**field.beside, field.name: sent})

        if isinstance(expected, Refused):
            require_refused(field, result, expected, sent, KINDS[field.of].argument)
        else:
            require_shown(field, object_of(result, field.of, 201), sent, Good(sent, expected))


@each_of([field for field in CREATED if (*field.bad, *field.bad_on_post)])
def test_creation_refuses_what_is_wrong_and_stores_nothing(tree: Tree, field: Field) -> None:
    before = tree.unaccounted(field.of)

    for sent, refused in (*field.bad, *field.bad_on_post):
        sent = tree.value(sent)
        result = tree.create(field.of, {**field.beside, field.name: sent})
        require_refused(field, result, refused, sent, KINDS[field.of].argument)

    assert tree.unaccounted(field.of) == before


@each_of(CHANGED)
def test_change_shows_what_is_allowed(tree: Tree, field: Field) -> None:
    object = one_to_change(tree, field)

    for good in field.goods:
        said = tree.resolved({**good.beside, field.name: good.sent})
        changed = object_of(tree.change(field.of, object, said), field.of, status_of_change(field))

        require_shown(field, changed, said[field.name], good)
        require_shown(field, tree.show(field.of, object), said[field.name], good)


@each_of(CHANGED)
def test_change_to_null_shows_what_that_means(tree: Tree, field: Field) -> None:
    object = one_with_an_uncommon_value(tree, field)
    before = field.of_shown(object)

    result = tree.change(field.of, object, {field.name: None})

    if isinstance(field.on_put, Refused):
        require_refused(field, result, field.on_put, None, argument_of_change(field))
        assert field.of_shown(tree.show(field.of, object)) == before
    else:
        expected = Good(None, before if field.on_put is UNCHANGED else field.on_put)
        require_shown(field, object_of(result, field.of, status_of_change(field)), None, expected)
        require_shown(field, tree.show(field.of, object), None, expected)


def one_with_an_uncommon_value(tree: Tree, field: Field) -> Document:
    """Neither the one that null stands for nor that of a new object, where there is another."""
    object = one_to_change(tree, field)
    for good in reversed(field.goods):
        result = tree.change(field.of, object, {**good.beside, field.name: good.sent})
        object = object_of(result, field.of, status_of_change(field))
        if field.of_shown(object) not in (field.on_put, field.absent):
            break
    return object


@each_of([field for field in CHANGED if (*field.bad, *field.bad_on_put)])
def test_change_refuses_what_is_wrong_and_stores_nothing(tree: Tree, field: Field) -> None:
    object = one_to_change(tree, field)
    before = field.of_shown(object)

    for sent, refused in (*field.bad, *field.bad_on_put):
        sent = tree.value(sent)
        result = tree.change(field.of, object, {field.name: sent})
        require_refused(field, result, refused, sent, argument_of_change(field))

    assert field.of_shown(tree.show(field.of, object)) == before


@each_of(FIXED)
def test_change_does_not_know_what_is_fixed(tree: Tree, field: Field) -> None:
    object = one_to_change(tree, field)
    unknown = f"Unknown attribute for argument {argument_of_change(field)}.{field.of}: {field.name}"

    for sent in (*(good.sent for good in field.goods), None):
        result = tree.change(field.of, object, {field.name: sent})
        assert (result.status_code, result.json["faultstring"]) == (400, unknown), sent


@pytest.mark.parametrize("of", KINDS)
def test_what_is_shown_or_made_up_cannot_be_said(tree: Tree, of: str) -> None:
    kind = KINDS[of]
    object = tree.show(of, {"project_id": tree.project}) if of == "quota" else tree.make(of)
    taken = {field.name for field in FIELDS if field.of == of}
    read_only = [*(object.keys() - taken), *kind.read_only]

    for name in sorted(read_only):
        said: dict[str, Any] = {name: object.get(name)}
        refused = {tree.change(of, object, said).json["faultstring"]}
        refused |= set() if of == "quota" else {tree.create(of, said).json["faultstring"]}
        arguments = {kind.argument_of_change or kind.argument} | (set() if of == "quota" else {kind.argument})
        assert refused == {f"Unknown attribute for argument {argument}.{of}: {name}" for argument in arguments}
