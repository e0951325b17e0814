"""The program with which HAProxy carries out PING health monitors."""

from pathlib import Path

from amphora.agent.files import replace_content

NAME = "ping-wrapper.sh"
_SCRIPT = b"""\
#!/bin/sh
# One echo request to the member that HAProxy names; the exit code is the verdict.
case "$HAPROXY_SERVER_ADDR" in
    *:*) exec ping -6 -q -n -c 1 -w 1 "$HAPROXY_SERVER_ADDR" ;;
    *) exec ping -q -n -c 1 -w 1 "$HAPROXY_SERVER_ADDR" ;;
esac >/dev/null 2>&1
"""


def install_ping(base_path: Path) -> None:
    """Raises DiskFull."""
    replace_content(base_path / NAME, _SCRIPT, mode=0o755)
