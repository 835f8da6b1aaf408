"""How do tools of a Model Context Protocol server become tools of an expert?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _quorate
from ._record import Record, record
from ._tools import Effect, Tool

if TYPE_CHECKING:
    from . import aio


class McpTools(Tool):
    """The tools of a server; made by :func:`mcp_tools`.

    ``Runtime(tools=[tools])``: each question has the tools that the server has when it is asked. ``Runtime(tools=[*tools])``: those of
    now. Closed by :meth:`close`, at the end of a ``with`` or ``async with`` block, or when neither it nor one of its tools is used any more.
    """

    def __init__(self, native: _quorate.McpServer) -> None:
        super().__init__(native.all())
        self._server = native

    @property
    def server(self) -> str:
        """What errors call the server."""
        name: str = self._server.state()["server"]
        return name

    @property
    def names(self) -> list[str]:
        """The names of the tools that there are, as models use them, in the server's order."""
        names: list[str] = self._server.state()["names"]
        return names

    @property
    def refused(self) -> dict[str, str]:
        """The tools that are refused since they are not what was accepted, with what has changed; :meth:`refresh` accepts them."""
        refused: dict[str, str] = self._server.state()["refused"]
        return refused

    @property
    def left_out(self) -> dict[str, str]:
        """The tools of the server that cannot be used, with the reason."""
        left_out: dict[str, str] = self._server.state()["left_out"]
        return left_out

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        closed: bool = self._server.state()["closed"]
        return closed

    def refresh(self) -> Record:
        """Reads the list of tools again, and accepts it as it is. Gives what has changed: ``added``, ``removed``, and ``changed`` with what differs.

        A server that has ended is started again. Codes: ``closed``, ``tool_failed``, ``tool_timeout``.
        """
        changes: Record = record(self._server.refresh())
        return changes

    def close(self) -> None:
        """Ends the server: its process with all that it has started, or its session. Its tools fail from then on."""
        self._server.close()

    @property
    def aio(self) -> aio.AsyncMcpTools:
        """The same calls, awaited."""
        from . import aio

        return aio.AsyncMcpTools(self)

    def __iter__(self) -> Iterator[Tool]:
        return iter([Tool(one) for one in self._server.tools()])

    def __len__(self) -> int:
        return len(self.names)

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, name: str) -> Tool:
        """The tool with this name, as a model uses it."""
        for one in self:
            if one.name == name:
                return one
        raise KeyError(name)

    def __enter__(self) -> McpTools:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> McpTools:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aio.close()

    def __repr__(self) -> str:
        return f"<tools of {self.server}: {', '.join(self.names)}>"


def _path(given: Any) -> Any:
    return os.fspath(given) if isinstance(given, os.PathLike) else given


def mcp_tools(
    command: Sequence[str | os.PathLike[str]] | None = None,
    *,
    url: str | None = None,
    headers: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    name: str | None = None,
    prefix: str = "",
    include: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    effects: Mapping[str, Effect] | None = None,
    timeout: float = 30,
    start_timeout: float = 30,
    max_result_tokens: int = 2000,
) -> McpTools:
    """The tools of a Model Context Protocol server: ``mcp_tools(command=["python", "server.py"])`` or ``mcp_tools(url="https://...")``.

    ``command`` is started as a child process, without a shell, and ends with the handle; it sees the variables of ``env`` beside
    those by which programs find their way (``PATH``, ``HOME`` and their like), and runs in ``cwd``. ``url``: a server that speaks
    streamable HTTP; ``headers`` go with each request, and show in no error. ``name``: what errors call it. ``prefix`` stands before each
    tool's name. ``include``, ``exclude``: which tools are taken, by the server's names. A tool that the server does not call read-only
    writes, so that its calls wait for approval; ``effects`` says better for single tools: ``{"find": "read"}``. ``timeout``: seconds of
    a call; ``start_timeout``: until the server has said which tools it has. Of a result over ``max_result_tokens`` the model
    reads head and tail.

    What a server does wrong is ``tool_failed``, what it does not do in time ``tool_timeout``, with the server named. Codes of this call:
    ``invalid_argument``, those two.
    """
    given: dict[str, Any] = {
        "command": [_path(part) for part in command] if isinstance(command, (list, tuple)) else command,
        "url": url,
        "headers": headers,
        "env": env,
        "cwd": _path(cwd),
        "name": name,
        "prefix": prefix,
        "include": include,
        "exclude": exclude,
        "effects": effects,
        "timeout": timeout,
        "start_timeout": start_timeout,
        "max_result_tokens": max_result_tokens,
    }
    return McpTools(_quorate.open_mcp({key: value for key, value in given.items() if value is not None}))
