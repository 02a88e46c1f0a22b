# SPDX-License-Identifier: Apache-2.0
"""A server of the Model Context Protocol over streamable HTTP: mcpd.py PORT [json]    json: answers are JSON and not events"""
import sys
import time

from mcp.server.mcpserver import MCPServer

server = MCPServer("mcpd", log_level="WARNING")


@server.tool()
def add(a: int, b: int) -> int:
    return a + b


@server.tool()
def slow() -> str:
    time.sleep(0.103)
    return "at last"


@server.tool()
def fail() -> str:
    raise ValueError("secret-in-an-error")


@server.prompt()
def greet(name: str) -> str:
    return f"Say hello to {name}"


server.run(transport="streamable-http", host="127.0.0.1", port=int(sys.argv[1]), json_response="json" in sys.argv)
