"""What answers are held against: the tables' words for what is shown and what is refused."""

from typing import Any
from uuid import UUID

from falcon.testing import Result

from tests.api.fields.field import Document, Field, Good, Refused, Word


def require_shown(field: Field, shown: Document, sent: Any, good: Good) -> Any:
    """What is shown of it."""
    expected = _expected(good, sent)
    found = field.of_shown(shown)
    assert found == expected, (field.id, sent)
    assert type(found) is type(expected) or not isinstance(expected, bool | int | float | str), (field.id, sent)
    return found


def _expected(good: Good, sent: Any) -> Any:
    if good.shown is Word.CANONICAL_ID:
        return str(UUID(sent))
    return sent if good.shown is Word.AS_SENT else good.shown


def require_refused(field: Field, result: Result, refused: Refused, sent: Any, argument: str) -> None:
    text: str = result.json.get("faultstring", "")
    assert result.status_code == refused.status, (field.id, sent, result.text)
    assert text.startswith(refused.opening.format(name=field.name, argument=argument)), (field.id, sent, result.text)
    assert refused.words in text, (field.id, sent, result.text)
