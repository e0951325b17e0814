"""Which differences between two files are weights alone."""

from uuid import UUID

import pytest

from amphora.agent.weights import changed_weights, with_initial_weights

LOG_ID, OTHER_LOG_ID = UUID(int=1), UUID(int=2)
FILE = f"""# tacitus {LOG_ID} 1
global
    description 1
    maxconn 1000
frontend f
    bind 127.0.0.1:80
    default_backend b:f
backend b:f
    balance roundrobin
    server m1 10.0.0.1:80 weight 1 check inter 5s fall 3 rise 3
    server m2 [fd00::2]:80 weight 100
backend c:f
    server m1 10.0.0.1:80 weight 1 disabled
"""


def changed(*replacements: tuple[str, str]) -> str:
    text = FILE
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def test_weights_are_named_by_backend_and_server() -> None:
    wanted = changed(
        (f"{LOG_ID} 1", f"{LOG_ID} 2"),
        ("description 1", "description 2"),
        ("10.0.0.1:80 weight 1 check", "10.0.0.1:80 weight 256 check"),
        ("weight 100", "weight 0"),
        ("weight 1 disabled", "weight 7 disabled"),
    )

    assert changed_weights(FILE, wanted) == {"b:f/m1": 256, "b:f/m2": 0, "c:f/m1": 7}


def test_another_revision_alone_is_no_change() -> None:
    assert changed_weights(FILE, changed((f"{LOG_ID} 1", f"{LOG_ID} 2"), ("description 1", "description 2"))) == {}


@pytest.mark.parametrize(
    "replacement",
    [
        pytest.param((str(LOG_ID), str(OTHER_LOG_ID)), id="the log"),
        pytest.param((f"# tacitus {LOG_ID} 1\n", "# of another controller\n"), id="no stamp"),
        pytest.param(("maxconn 1000", "maxconn 1001"), id="a setting"),
        pytest.param(("weight 1 check", "weight 257 check"), id="a weight that is none"),
        pytest.param(("weight 1 check", "weight -1 check"), id="a negative weight"),
        pytest.param(("weight 1 check", "weight 2 check backup"), id="a word more"),
        pytest.param(("weight 1 check", "weight 2 check weight 3"), id="two weights"),
        pytest.param((" weight 100", ""), id="no weight"),
        pytest.param(("m1 10.0.0.1:80 weight 1", "m3 10.0.0.1:80 weight 2"), id="another server"),
        pytest.param(("10.0.0.1:80 weight 1", "10.0.0.3:80 weight 2"), id="another address"),
        pytest.param(("weight 100", "weight 100\n    server m3 10.0.0.3:80 weight 1"), id="a server more"),
        pytest.param(("    server m2 [fd00::2]:80 weight 100\n", ""), id="a server less"),
        pytest.param(("backend c:f", "backend d:f"), id="another backend"),
    ],
)
def test_whatever_else_differs_takes_a_reload(replacement: tuple[str, str]) -> None:
    wanted = changed(replacement)

    assert changed_weights(FILE, wanted) is None


def test_a_description_outside_of_the_global_section_takes_a_reload() -> None:
    former, wanted = (changed(("    bind", f"    description {n}\n    bind")) for n in (1, 2))

    assert changed_weights(former, wanted) is None


def test_saved_state_has_the_weights_that_the_worker_began_with() -> None:
    state = (
        "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time\n"
        "3 b 1 m1 127.0.0.1 2 0 5 1 77\n3 b 2 m2 127.0.0.1 0 5 7 0 77\n\n"
    )

    assert with_initial_weights(state) == state.replace(" 5 1 77", " 1 1 77").replace(" 7 0 77", " 0 0 77")
