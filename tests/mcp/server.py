"""A small MCP server by the official SDK, for tests/mcp/run.sh: over stdio, or over HTTP on the port that is given."""

import os
import sys
import time

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("words", log_level="WARNING")


@server.tool()
def count(text: str) -> int:
    """Counts the words of a text."""
    return len(text.split())


@server.tool()
def join(words: list[str], between: str = " ") -> str:
    """Joins words to a text."""
    return between.join(words)


@server.tool()
def fail(reason: str) -> str:
    """Fails."""
    raise ToolError(reason)


@server.tool()
def wait(seconds: float) -> str:
    """Takes its time."""
    time.sleep(seconds)
    return "done"


@server.tool()
def leave() -> str:
    """Ends the server in the middle of a call."""
    os._exit(1)


if len(sys.argv) > 1:
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
else:
    server.run("stdio")
