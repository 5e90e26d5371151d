"""The floor of many calls: httpx as usual asks so many questions, so many at a time, and reads the answers."""

import asyncio
import json
import sys
from collections.abc import Iterator

import httpx

address, calls, jobs = f"{sys.argv[1]}/chat/completions", int(sys.argv[2]), int(sys.argv[3])


async def ask(client: httpx.AsyncClient, questions: Iterator[int]) -> None:
    for number in questions:
        body = {"model": "bench-1", "messages": [{"role": "user", "content": f"Question {number}"}]}
        response = await client.post(address, json=body)
        sys.stdout.write(json.dumps(response.json()["choices"][0]["message"]["content"]) + "\n")


async def main() -> None:
    limits = httpx.Limits(max_connections=jobs, max_keepalive_connections=jobs)
    headers = {"Authorization": "Bearer bench-key"}
    async with httpx.AsyncClient(limits=limits, headers=headers, timeout=60) as client:
        questions = iter(range(calls))
        await asyncio.gather(*(ask(client, questions) for _ in range(jobs)))


asyncio.run(main())
