"""Who may deploy where: everywhere, or in the folders that were granted to them."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_rest_api.commands.model import Effect
from airflow_rest_api.commands.needs import DEPLOY, Ask, Resource
from airflow_rest_api.commands.policy import OWN, own_command, refusal
from airflow_rest_api.dag_files import bundles
from airflow_rest_api.dag_files.upload import clean
from airflow_rest_api.errors import Forbidden, UnknownBundle
from airflow_rest_api.security.decision import Decision

if TYPE_CHECKING:
    from airflow_rest_api.airflow.permissions import Permissions
    from airflow_rest_api.commands.model import Invocation
    from airflow_rest_api.security.access import Gate, Permit
    from airflow_rest_api.security.caller import Caller
    from airflow_rest_api.security.decision import Attempt

COMMANDS: Mapping[str, Effect] = {
    name: rule.effect for name, rule in OWN.items() if DEPLOY in {need.entity for need in rule.needs}
}
"""What can be done to DAG files, by the names that operations, the event log and the switches know."""


@dataclass(frozen=True)
class Scope:
    """
    Where a user may deploy.

    :ivar everywhere: in all bundles
    :ivar folders: else those granted, each a bundle and a folder in it, empty for all of the bundle
    """

    everywhere: bool
    folders: tuple[tuple[str, str], ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        """It as JSON knows it."""
        return {"everywhere": self.everywhere, "folders": [list(folder) for folder in self.folders]}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Scope:
        """Return the scope of such values."""
        return cls(values["everywhere"], tuple((bundle, folder) for bundle, folder in values["folders"]))

    def covers(self, bundle: str, path: str) -> bool:
        """Return whether a file, or a folder as such, is in it."""
        return self.everywhere or self._folder(bundle, path) is not None

    def require_everywhere(self) -> None:
        """Raise Forbidden for a user who may not deploy files without their check."""
        if not self.everywhere:
            raise Forbidden(
                "Only who may deploy everywhere deploys without a check: elsewhere a file could take over "
                "the DAGs of other folders."
            )

    def target(self, command: str, bundle: str | None, folder: str) -> tuple[str | None, str]:
        """
        Return the bundle and the folder that a client names, and no word of them to who has nothing there.

        The bundle stays None for who may deploy everywhere and names none. Blocks.

        :raises Forbidden: nothing in the folder, or on the way from it to its files, is in it
        :raises BadPath: not a relative path
        """
        folder = clean(folder, "folder", folder=True) if folder else ""
        if not self.everywhere:
            bundle = bundle if bundle is not None else self._default()
            if not self._is_near(bundle, folder):
                what = f"{bundle}/{folder}" if folder else bundle
                raise Forbidden(refusal(command, f"{_ask(DEPLOY)}, or a folder of {what!r}"))
        return bundle, folder

    def _default(self) -> str:
        """Return the bundle of who names none, among their own."""
        own = sorted({name for name, _ in self.folders})
        if len(own) == 1:
            return own[0]
        with contextlib.suppress(UnknownBundle):
            if (name := bundles.named(None).name) in own:
                return name
        raise UnknownBundle(f"Say which bundle: one of {', '.join(own)}.")

    def _is_near(self, bundle: str, folder: str) -> bool:
        ways = [found for name, found in self.folders if name == bundle]
        return self.covers(bundle, folder) or any(not folder or way.startswith(folder + "/") for way in ways)

    def asks(self, bundle: str, paths: Iterable[str]) -> tuple[Ask, ...]:
        """Return what another user needs to do the same."""
        found = {self._folder(bundle, path) for path in paths}
        if self.everywhere or not found:
            return (_ask(DEPLOY),)
        return tuple(_ask(entity(*folder)) for folder in sorted(filter(None, found)))

    def _folder(self, bundle: str, path: str) -> tuple[str, str] | None:
        for name, folder in self.folders:
            if name == bundle and (not folder or path == folder or path.startswith(folder + "/")):
                return name, folder
        return None


class Grants:
    """Decides about DAG files; for `folders` (see `settings.folders`) deployment is granted on their own."""

    def __init__(self, gate: Gate, folders: Iterable[tuple[str, str]] = ()) -> None:
        self._gate = gate
        self._folders = tuple(folders)

    async def scope(self, caller: Caller, command: str, queue: str | None = None) -> Scope:
        """
        Return where a user may run one of `COMMANDS`.

        :param queue: that the caller has named
        :raises Forbidden: nowhere, or it is switched off
        """
        self._on(command, queue)
        if await caller.is_admin():
            return Scope(everywhere=True)
        scope = await caller.ask(self._granted)
        _require(scope, command)
        return scope

    async def check(
        self, caller: Caller, command: str, bundle: str, paths: Iterable[str], queue: str | None = None
    ) -> Scope:
        """
        Return the scope of a user who may run a command on all of some files; raise Forbidden.

        :param queue: that the caller has named
        """
        scope = await self.scope(caller, command, queue)
        _require(scope, command, bundle, paths)
        return scope

    async def authorize(
        self,
        caller: Caller,
        invocation: Invocation,
        bundle: str,
        paths: Collection[str],
        *,
        attempts: Iterable[Attempt] = (),
        recorded: bool = True,
        queue: str | None = None,
    ) -> Permit:
        """
        Return the permit to run a command on files.

        :param invocation: what is done, by a name of `COMMANDS`
        :param attempts: of commands that it runs besides
        :param recorded: whether a refusal is
        :param queue: that the caller has named
        :raises Forbidden: not all of the files are the caller's
        """
        command = invocation.command.name

        def rule(permissions: Permissions | None) -> Decision:
            self._on(command, queue)
            scope = Scope(everywhere=True) if permissions is None else self._granted(permissions)
            _require(scope, command, bundle, paths)
            return Decision(None, scope.asks(bundle, paths))

        return await self._gate.authorize(
            caller, invocation, attempts, rule=rule, recorded=recorded, queue=queue
        )

    def _on(self, command: str, queue: str | None = None) -> None:
        """Raise SwitchedOff where an option switches a command off for all."""
        queue = self._gate.where(own_command(command), queue)
        self._gate.on(own_command(command), queue)
        if command != "read_dag_files":
            # Deployment switched off means every way to it; but not all of them run the code of DAGs.
            self._gate.on(own_command("deploy_dag", COMMANDS[command]), queue)

    def _granted(self, permissions: Permissions) -> Scope:
        def holds(what: str) -> bool:
            return permissions.may(Resource.POWER.value, "PUT", what, None)

        if holds(DEPLOY):
            return Scope(everywhere=True)
        return Scope(False, tuple(folder for folder in self._folders if holds(entity(*folder))))


def _require(scope: Scope, command: str, bundle: str = "", paths: Iterable[str] = ()) -> None:
    """Raise Forbidden where nothing is in the scope, or not all of some files."""
    if not scope.everywhere and not scope.folders:
        raise Forbidden(refusal(command, f"{_ask(DEPLOY)}, or one of its folders"))
    for path in paths:
        if not scope.covers(bundle, path):
            raise Forbidden(
                refusal(command, f"{_ask(DEPLOY)}, or a folder of {bundle!r} with {path!r} in it")
            )


def entity(bundle: str, folder: str) -> str:
    """Return the power that is deployment in one folder."""
    return f"{DEPLOY} {bundle}/{folder}" if folder else f"{DEPLOY} {bundle}"


def _ask(what: str) -> Ask:
    return Ask(Resource.POWER, "PUT", what, None)
