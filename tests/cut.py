"""A way to the database that can be cut without either end being told, as a network does it."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from psycopg.conninfo import conninfo_to_dict, make_conninfo

T = TypeVar("T")


class Cuttable:
    """Forwards TCP connections of 127.0.0.1 to one server.

    url  the database by this way
    """

    def __init__(self, database_url: str) -> None:
        said = conninfo_to_dict(database_url)
        self._host, self._port = str(said.get("host", "127.0.0.1")), int(str(said.get("port", "5432")))
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cuttable", daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        port = self._server.sockets[0].getsockname()[1]
        self.url = make_conninfo(database_url, host="127.0.0.1", port=port)

    def cut(self) -> None:
        """From now on nothing passes, and nobody hears of it."""

        async def shut() -> None:
            self._open.clear()

        self._do(shut())

    def mend(self) -> None:
        """What was sent meanwhile arrives."""
        self._loop.call_soon_threadsafe(self._open.set)

    def close(self) -> None:
        async def end() -> None:
            self._server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        self._do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        ends = [writer]
        try:
            there_reader, there_writer = await self._connect()
            ends.append(there_writer)
            await asyncio.gather(self._pass(reader, there_writer), self._pass(there_reader, writer))
        except (asyncio.CancelledError, OSError):
            pass
        finally:
            self._tasks.discard(task)
            for end in ends:
                end.close()
                with suppress(OSError):
                    await end.wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        await self._open.wait()
        if self._host.startswith("/"):
            return await asyncio.open_unix_connection(str(Path(self._host) / f".s.PGSQL.{self._port}"))
        return await asyncio.open_connection(self._host, self._port)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                await self._open.wait()
                sink.write(data)
                await sink.drain()
        with suppress(OSError):
            sink.close()


@contextmanager
def cuttable(database_url: str) -> Iterator[Cuttable]:
    way = Cuttable(database_url)
    try:
        yield way
    finally:
        way.close()
