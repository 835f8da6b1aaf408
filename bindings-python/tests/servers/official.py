"""A server made with the official Python SDK: ``official.py stdio`` or ``official.py http PORT``."""

import sys

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations

server = MCPServer("official", log_level="ERROR")
READ = ToolAnnotations(read_only_hint=True)


@server.tool(annotations=READ)
def lookup(code: str, year: int = 2025) -> str:
    """What a code means."""
    return f"{code} of {year} means catheter"


@server.tool(annotations=READ)
def codes() -> dict[str, int]:
    """How often codes occur."""
    return {"C17": 2, "C18": 1}


@server.tool(annotations=READ)
def years() -> list[int]:
    """Which years there are."""
    return [2024, 2025]


@server.tool(annotations=READ)
def broken() -> str:
    """Always fails."""
    raise ToolError("no such code")


@server.tool()
def send(to: str) -> str:
    """Sends a letter."""
    return f"sent to {to}"


@server.tool(annotations=READ)
async def grow(context: Context) -> str:
    """Adds a tool."""
    server.add_tool(lambda: "new", name="fresh", description="A new one.", annotations=READ)
    try:
        await context.session.send_tool_list_changed()
    except Exception:
        await context.notify_tools_changed()
    return "grown"


if __name__ == "__main__":
    if sys.argv[1] == "http":
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
    else:
        server.run()
