"""The client for programs of asyncio: the same as `Client`, awaited."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_rest_client import arguments as asked
from airflow_rest_client.archive import parts
from airflow_rest_client.carriers import AsyncCarrier
from airflow_rest_client.catalog import Catalog, Command
from airflow_rest_client.credentials import Credentials
from airflow_rest_client.errors import ApiError, CommandFailed, DeploymentFailed
from airflow_rest_client.events import Lines
from airflow_rest_client.exchanges import WAIT, Component, Components, Server, address, deployment
from airflow_rest_client.following import Following
from airflow_rest_client.http import ConnectionLost, Exchange, Pause, Request, Response
from airflow_rest_client.model import Event, Line, OperationData

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


class AsyncOperation(OperationData):
    """One run of a command, as the server last said, and what can be done with it."""

    def __init__(self, client: AsyncClient, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        self._client = client

    async def wait(self, timeout: float | None = None) -> AsyncOperation:
        """
        Wait for its end, and return the operation itself, as it is then.

        :param timeout: seconds after which to return although it still runs
        """
        self.data = await self._client.do(self._client.server.ended(self.data, timeout))
        return self

    def check(self) -> AsyncOperation:
        """Return the operation; raise CommandFailed where it has not succeeded."""
        if not self.succeeded:
            raise CommandFailed(self)
        return self

    async def refresh(self) -> AsyncOperation:
        """Return the operation as it is now."""
        self.data = await self._client.do(self._client.server.operation(self.id))
        return self

    def events(self, after: str | None = None) -> AsyncIterator[Event]:
        """
        Yield what it prints and does, as it comes, from its beginning to its end, through broken connections.

        :param after: the id of an event, to go on behind it
        """
        return self._client.stream(Following(identifier=self.id, after=after))

    async def follow(self) -> AsyncIterator[Line]:
        """Yield the lines that it prints as they come; after the last one the operation is as it ended."""
        lines = Lines()
        async for event in self.events():
            for line in lines.feed(event):
                yield line
        for line in lines.finish():
            yield line
        await self.refresh()

    async def cancel(self) -> AsyncOperation:
        """End it, and return it as it is then."""
        self.data = await self._client.do(self._client.server.cancel(self.id))
        return self

    async def rerun(self) -> AsyncOperation:
        """Run the same again, as the user of today; return the new operation while it runs."""
        return AsyncOperation(self._client, await self._client.do(self._client.server.rerun(self.id)))

    async def download(self, name: str | None = None) -> bytes:
        """
        Return the content of a file that it wrote.

        :param name: None for the only one
        :raises ValueError: there is not exactly one
        """
        if name is None:
            if len(self.files) != 1:
                raise ValueError(f"The operation has {len(self.files)} files")
            name = self.files[0].name
        size = next((file.size for file in self.files if file.name == name), None)
        return await self._client.do(self._client.server.file(self.id, name, size))


class AsyncServices:
    """The components of an Airflow: schedulers, workers and their like (docs/services.md of the plugin)."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self, **filters: str) -> Components:
        """Return the components, the newest first; `state`, `kind` and `host` narrow that."""
        return await self._client.do(self._client.server.services(filters))

    async def kinds(self) -> Components:
        """Return what can be started, with the arguments of each."""
        return await self._client.do(self._client.server.service_kinds())

    async def get(self, identifier: str) -> Component:
        """Return a component as it is now."""
        return await self._client.do(self._client.server.service(identifier))

    async def start(
        self,
        kind: str,
        *,
        restart: str = "never",
        another: bool = False,
        on_host: str | None = None,
        **arguments: Any,
    ) -> Component:
        """
        Start a component, and return it when it is ready or has failed.

        :param restart: `never` or `on-failure`
        :param another: start it although the same runs there already
        :param on_host: the host of the runner that starts it; by default where the server says
        :param arguments: of the command
        """
        body = {"kind": kind, "restart": restart, "another": another, "arguments": arguments}
        body |= {} if on_host is None else {"host": on_host}
        return await self._client.do(self._client.server.start_service(body))

    async def stop(self, identifier: str, *, force: bool = False) -> Component:
        """Stop a component, and return it as it is then; `force` kills it."""
        stop = self._client.server.change_service(identifier, "stop", {"force": force})
        return await self._client.do(stop)

    async def restart(self, identifier: str) -> Component:
        """Stop a component and start it again, and return it as it is then."""
        return await self._client.do(self._client.server.change_service(identifier, "restart"))

    async def forget(self, identifier: str) -> None:
        """Forget a component that has ended."""
        await self._client.do(self._client.server.forget_service(identifier))

    async def log(self, identifier: str, *, stream: str = "stdout", tail: int = 100) -> str:
        """
        Return what a component has written.

        :param stream: `stdout` or `stderr`
        :param tail: lines
        """
        params = {"stream": stream, "tail": str(tail)}
        text, _ = await self._client.do(self._client.server.service_log(identifier, params))
        return text


class AsyncClient:
    """
    The commands of an Airflow, as functions: `await client.dags.trigger("my_dag", conf={"day": 1})`.

    :param url: of the API server, such as `https://airflow.example.org`
    :param token: of Airflow
    :param username: with `password`, in place of a token: it is had, and renewed, with them
    :param provider: the one of Flask-AppBuilder that verifies the password: `db` or `ldap`
    :param refresh_token: with which a new token is had when the old one has ended
    :param header_token: the shared token that some sites ask for
    :param queue: whose runners run the commands; by default where the server's `placement` says
    :param http: the client of httpx to use, with the URL as its `base_url`
    :raises ValueError: the URL is none
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        username: str | None = None,
        password: str | None = None,
        provider: str = "db",
        refresh_token: str | None = None,
        header_token: str | None = None,
        queue: str | None = None,
        credentials: Credentials | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.url = address(url)
        self.server = Server(
            credentials or Credentials(token, refresh_token, username, password, provider, header_token),
            queue,
        )
        self.services = AsyncServices(self)
        self._catalog: Catalog | None = None
        self._carrier = AsyncCarrier(self.url, http)

    async def catalog(self) -> Catalog:
        """Return the commands of the server; asked for once."""
        if self._catalog is None:
            self._catalog = await self.do(self.server.catalog())
        return self._catalog

    async def run(self, *words: str, **arguments: Any) -> AsyncOperation:
        """
        Run a command, and return its operation when it has ended well.

        `run("dags", "list", output="json")` has the command's name, what is given by its place, and the
        arguments by name; `run("dags", "list", "-o", "json")`, without arguments by name, is a command line.

        :raises CommandFailed: it ended in another way
        :raises ApiError: it was refused, so that nothing was run
        """
        catalog = await self.catalog()
        request, reads = await asyncio.to_thread(asked.of, catalog, words, arguments)
        return await self._done(request, reads=reads)

    async def start(self, *words: str, **arguments: Any) -> AsyncOperation:
        """Run a command as `run` does, and return its operation at once."""
        catalog = await self.catalog()
        request, _ = await asyncio.to_thread(asked.of, catalog, words, arguments)
        return AsyncOperation(self, await self.do(self.server.started(request)))

    async def operation(self, identifier: str) -> AsyncOperation:
        """Return an operation."""
        return AsyncOperation(self, await self.do(self.server.operation(identifier)))

    async def operations(
        self, limit: int = 50, **filters: str | Sequence[str]
    ) -> AsyncIterator[AsyncOperation]:
        """
        Yield operations, the newest first, without their output.

        :param filters: `state`, `command`, `user`, `effect`, `dag_id`, `since`, `until` (docs/api.md)
        """
        params: dict[str, str | Sequence[str]] = {**filters, "limit": str(min(limit, 500))}
        while limit > 0:
            page = await self.do(self.server.operations(params))
            for data in page["operations"][:limit]:
                yield AsyncOperation(self, data)
            limit -= len(page["operations"])
            if not page["next"]:
                return
            params["cursor"] = page["next"]

    async def deploy(
        self, *paths: str | os.PathLike[str], wait: bool = True, **options: str | bool
    ) -> AsyncOperation:
        """
        Put DAG files into a bundle: some files, a folder, or an archive; return the operation at its end.

        :param wait: until Airflow has parsed them
        :param options: `bundle`, `folder`, `overwrite`, `unpause` and more, as docs/dag-files.md has them
        :raises DeploymentFailed: what is in the files keeps them from being deployed
        :raises ApiError: something else does
        """
        operation = await (await self.start_deploy(*paths, wait=wait, **options)).wait()
        if not operation.succeeded:
            raise DeploymentFailed(operation)
        return operation

    async def check(self, *paths: str | os.PathLike[str], **options: str | bool) -> AsyncOperation:
        """Look into DAG files as `deploy` does, and write nothing; `result` says what was found."""
        return await (await self._deployment(paths, options, check=True)).wait()

    async def start_deploy(self, *paths: str | os.PathLike[str], **options: str | bool) -> AsyncOperation:
        """Deploy as `deploy` does, and return the operation at once; its events have the progress."""
        return await self._deployment(paths, options, check=False)

    async def _deployment(
        self, paths: Iterable[str | os.PathLike[str]], options: Mapping[str, str | bool], *, check: bool
    ) -> AsyncOperation:
        files = await asyncio.to_thread(parts, paths)
        request = deployment(files, options, check=check)
        return AsyncOperation(self, await self.do(self.server.started(request)))

    async def stream(self, following: Following) -> AsyncIterator[Event]:
        """Yield the events of an operation, whose request may still have to be sent."""
        while not following.done:
            pause = 0.0
            try:
                await self.do(self.server.renewed())
                request = self.server.signed(following.request())
                async with self._carrier.stream(request) as (answer, pieces):
                    if not (following.may_renew(answer) and await self.do(self.server.credentials.renew())):
                        for event in following.opened(answer):
                            yield event
                        async for piece in pieces:
                            for event in following.feed(piece):
                                yield event
                        pause = following.lost()
            except (ConnectionLost, ApiError) as error:
                pause = following.lost(error)
            if not following.done:
                await asyncio.sleep(pause)

    async def do(self, exchange: Exchange[T]) -> T:
        """Return what comes of a conversation with the server."""
        answer: Response | None = None
        try:
            asking: Request | Pause = next(exchange)
            while True:
                try:
                    answer = await self._answer(asking)
                except ConnectionLost as error:
                    asking = exchange.throw(error)
                else:
                    asking = exchange.send(answer)
        except StopIteration as end:
            value: T = end.value
            return value

    async def _answer(self, asking: Request | Pause) -> Response | None:
        if isinstance(asking, Pause):
            await asyncio.sleep(asking.seconds)
            return None
        return await self._carrier.send(asking)

    async def _run_bound(self, command: Command, arguments: dict[str, Any]) -> AsyncOperation:
        request = await asyncio.to_thread(asked.by_name, command, arguments)
        return await self._done(request, reads=command.reads)

    async def _done(self, request: Request, *, reads: bool) -> AsyncOperation:
        operation = AsyncOperation(self, await self.do(self.server.started(request, wait=WAIT, reads=reads)))
        return (await operation.wait()).check()

    def __getattr__(self, name: str) -> Any:
        # Before it is made there is nobody to ask.
        if name.startswith("_") or "_carrier" not in self.__dict__:
            raise AttributeError(name)
        from airflow_rest_client.commands import AwaitedGroup

        return AwaitedGroup(self.catalog, name, self._run_bound)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._carrier.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
