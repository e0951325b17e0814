"""Who may do what: oslo.policy with our rules, the operator's on top, and a memory for verdicts."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from threading import Event, Thread
from typing import Any

from oslo_config.cfg import ConfigOpts
from oslo_policy import opts
from oslo_policy import policy as oslo

from infra.identity import Credentials
from infra.options import configuration
from infra.policy_rules import PREFIX, ROLES, RULES
from infra.settings import Settings

LOOK_SECONDS = 1.0
_MOST_VERDICTS = 20_000

_log = logging.getLogger(__name__)
Signature = tuple[tuple[str, int, int], ...]


class BrokenPolicy(Exception):
    """A policy file that cannot be enforced; says why, one reason per line."""


class Policy:
    """Decides on rules.

    A file that is broken at the start raises BrokenPolicy; one that breaks later changes nothing.
    """

    def __init__(self, found: ConfigOpts) -> None:
        opts.set_defaults(found)
        self._found = found
        self._signature = _signature(found)
        self._rules = _Rules(found)

    def allows(self, rule: str, who: Credentials, project_id: str) -> bool:
        """Whether `rule`, named without its prefix, lets them do it to something of that project."""
        return self._rules.verdict(PREFIX + rule, who, project_id)

    def watch(self, stop: Event) -> None:
        """Look at the files every second until `stop` is set.

        Whether requests come or not: processes of one service that saw different versions would decide differently once
        the file is broken.
        """
        Thread(target=self._watch, args=[stop], name="policy", daemon=True).start()

    def _watch(self, stop: Event) -> None:
        while not stop.wait(LOOK_SECONDS):
            self.look_again()

    def look_again(self) -> None:
        """Take over what the operator changed."""
        try:
            signature = _signature(self._found)
            if signature == self._signature:
                return
            self._signature = signature
            self._rules = _Rules(self._found)
            _log.info("the policy was loaded again")
        except (BrokenPolicy, OSError) as error:
            _log.error("the policy stays what it was, because its new version is broken: %s", error)


class _Rules:
    """One version of the policy.

    A verdict follows from rule, credentials and project alone, and oslo.policy takes 0.2 ms for it: so it is
    remembered, unless some rule asks a service outside.
    """

    def __init__(self, found: ConfigOpts) -> None:
        self._enforcer = enforcer(found)
        reasons = [*_faults_of_files(found)]
        if not reasons:
            reasons = [*_faults_of_rules(self._loaded())]
        if reasons:
            raise BrokenPolicy("\n".join(reasons))
        self._enforcer.use_conf = False  # `Policy` looks at the files
        self._verdicts: dict[tuple[str, Credentials, str], bool] = {}
        self._may_remember = not any(map(_asks_outside, self._enforcer.rules.values()))

    def _loaded(self) -> oslo.Enforcer:
        try:
            self._enforcer.load_rules(force_reload=True)
        except (OSError, ValueError) as error:  # changed since it was found to be in order
            raise BrokenPolicy(str(error)) from None
        return self._enforcer

    def verdict(self, rule: str, who: Credentials, project_id: str) -> bool:
        key = rule, who, project_id
        known = self._verdicts.get(key)
        if known is not None:
            return known
        verdict = self._decide(rule, who, project_id)
        if self._may_remember:
            if len(self._verdicts) >= _MOST_VERDICTS:
                self._verdicts.clear()
            self._verdicts[key] = verdict
        return verdict

    def _decide(self, rule: str, who: Credentials, project_id: str) -> bool:
        target = {"project_id": project_id}
        said = _as_oslo(who)
        try:
            said["is_admin"] = bool(self._enforcer.enforce("context_is_admin", target, said))
            return bool(self._enforcer.enforce(rule, target, said))
        except Exception:  # whatever an operator's rule runs into, a service outside included: it did not say yes
            _log.exception("the rule %s could not be decided on, which counts as no", rule)
            return False


def _as_oslo(who: Credentials) -> dict[str, Any]:
    """As rules see it. What is not said is left out: a caller without a project does not own what has none either."""
    said = {name: list(value) if isinstance(value, tuple) else value for name, value in who._asdict().items() if value}
    return {"roles": [], **said}


def enforcer(found: ConfigOpts) -> oslo.Enforcer:
    """oslo.policy's own object, with our rules and nothing loaded yet."""
    made = oslo.Enforcer(found)
    made.suppress_deprecation_warnings = True  # the old roles are an operator's choice: enforce_new_defaults
    made.register_defaults(ROLES)
    made.register_defaults(RULES)
    return made


def policy_of(settings: Settings) -> Policy:
    """Raises BrokenPolicy."""
    try:
        return Policy(configuration(settings.config_files))
    except OSError as error:  # a directory that we may not look into
        raise BrokenPolicy(str(error)) from None


def faults_of(found: ConfigOpts, file: Path | None = None) -> list[str]:
    """What is wrong with the operator's files: what cannot be enforced, and rules that nothing asks for.

    file  instead of the policy file that the configuration names
    """
    opts.set_defaults(found)
    if file is not None:
        if not file.is_file():
            return [f"{file}: there is no such file"]
        found.set_override("policy_file", str(file.absolute()), group="oslo_policy")
    try:
        rules = _Rules(found)
    except BrokenPolicy as error:
        return str(error).splitlines()
    loaded = rules._enforcer
    asked_for = {name for check in loaded.rules.values() for name in _references(check)} | {*loaded.registered_rules}
    return [f"{name}: unknown rule" for name in sorted({*loaded.file_rules} - asked_for)]


def sample() -> str:
    """All rules with their defaults, as a policy file in which every line is a comment."""
    return "\n".join(_sample_of(rule) for rule in (*ROLES, *RULES))


def _sample_of(rule: oslo.RuleDefault) -> str:
    lines = [f"# {rule.description}"]
    if isinstance(rule, oslo.DocumentedRuleDefault):
        lines += [f"# {operation['method']} {operation['path']}" for operation in rule.operations]
    return "\n".join([*lines, f'#"{rule.name}": "{rule.check_str}"', ""])


def _signature(found: ConfigOpts) -> Signature:
    """Changes when a file does: path, time of the last change, size."""
    seen = []
    for path in _files(found):
        with suppress(OSError):
            stat = path.stat()
            seen.append((str(path), stat.st_mtime_ns, stat.st_size))
    return tuple(seen)


def _files(found: ConfigOpts) -> Iterator[Path]:
    """The policy file, then those in the policy directories, as oslo.policy looks for them."""
    options = found.oslo_policy
    if file := found.find_file(options.policy_file):
        yield Path(file)
    for name in options.policy_dirs:
        if (directory := found.find_file(name)) and os.path.isdir(directory):
            files = (path for path in Path(directory).iterdir() if path.is_file() and not path.name.startswith("."))
            yield from sorted(files)


def _faults_of_files(found: ConfigOpts) -> Iterator[str]:
    """oslo.policy takes a rule that it does not understand for "nobody" and says so in the log alone."""
    for path in _files(found):
        try:
            said: object = oslo.parse_file_contents(path.read_text())
        except (OSError, ValueError) as error:
            yield f"{path}: {' '.join(str(error).split())}"
            continue
        if not isinstance(said, Mapping):
            yield f"{path}: not a mapping of rules"
            continue
        for name, check in said.items():
            if not isinstance(name, str) or not _is_understood(check):
                yield f"{path}: {name}: cannot be understood: {check!r}"


def _is_understood(check: object) -> bool:
    if isinstance(check, list):  # the oldest spelling of rules
        return True
    return isinstance(check, str) and (check.strip() == "!" or str(oslo.RuleDefault("_", check).check) != "!")


def _faults_of_rules(loaded: oslo.Enforcer) -> Iterator[str]:
    for name, check in loaded.rules.items():
        for missing in sorted({*_references(check)} - {*loaded.rules}):
            yield f"{name}: refers to rule:{missing}, which is not there"
    for name in loaded.rules:
        if _leads_back(loaded, name):
            yield f"{name}: refers to itself in the end"


def _leads_back(loaded: oslo.Enforcer, name: str) -> bool:
    seen: set[str] = set()
    left = [name]
    while left:
        for reference in _references(loaded.rules.get(left.pop())):
            if reference == name:
                return True
            if reference not in seen:
                seen.add(reference)
                left.append(reference)
    return False


def _leaves(check: Any) -> Iterator[Any]:
    """The checks that a check is made of."""
    if hasattr(check, "rules"):
        for part in check.rules:
            yield from _leaves(part)
    elif isinstance(check, oslo.NotCheck):
        yield from _leaves(check.rule)
    else:
        yield check


def _references(check: Any) -> Iterator[str]:
    return (leaf.match for leaf in _leaves(check) if isinstance(leaf, oslo.RuleCheck))


_OUTSIDE = frozenset(entry.name for entry in entry_points(group="oslo.policy.rule_checks"))
"""Kinds of checks that come from packages, like "http"."""


def _asks_outside(check: Any) -> bool:
    return any(getattr(leaf, "kind", None) in _OUTSIDE for leaf in _leaves(check))
