"""One application of the noop profile for all tests of a file: its provider and its network take everything."""

from collections.abc import Iterator

import pytest

from infra.settings import Profile
from tests.api.conftest import Api, api_on
from tests.api.fields.tree import Tree
from tests.conftest import fresh_database


@pytest.fixture(scope="module")
def walked_api(postgres_url: str, migrated_template: str) -> Iterator[Api]:
    with fresh_database(postgres_url, migrated_template) as url, api_on(url, Profile.NOOP) as api:
        yield api


@pytest.fixture
def tree(walked_api: Api) -> Tree:
    return Tree.of(walked_api)
