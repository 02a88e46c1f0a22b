# SPDX-License-Identifier: Apache-2.0
"""Tools and prompts of mcpd.py by the client of the mcp package: mcp_driver.py PORT"""
import asyncio
import sys

from mcp import ClientSession, MCPError
from mcp.client.streamable_http import streamable_http_client


async def main():
    async with streamable_http_client(f"http://127.0.0.1:{sys.argv[1]}/mcp") as streams, ClientSession(streams[0], streams[1]) as session:
        await session.initialize()
        assert {t.name for t in (await session.list_tools()).tools} == {"add", "slow", "fail"}
        for i in range(23):
            assert (await session.call_tool("add", {"a": i, "b": 1})).content[0].text == str(i + 1)
        await session.call_tool("slow", {})
        for _ in range(3):
            assert (await session.call_tool("fail", {})).is_error
        for _ in range(5):
            await session.get_prompt("greet", {"name": "secret-argument"})
        for _ in range(2):
            try:
                await session.get_prompt("nobody", {})
                raise SystemExit("a prompt that there is not")
            except MCPError:
                pass
        await session.send_ping()


sys.stdin.readline()
asyncio.run(main())
