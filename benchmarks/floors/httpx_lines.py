"""Another floor: httpx as usual reads the lines of a stream, and each token is printed as it comes."""

import json
import sys

import httpx

body = {"model": "bench-1", "messages": [{"role": "user", "content": "hi"}], "stream": True}
with httpx.stream("POST", f"{sys.argv[1]}/chat/completions", json=body) as response:
    for line in response.iter_lines():
        if line.startswith("data: {"):
            for choice in json.loads(line[6:])["choices"]:
                sys.stdout.write(choice["delta"].get("content", ""))
                sys.stdout.flush()
