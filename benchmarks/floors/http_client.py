"""The floor: the standard library asks, and prints each token as it comes."""

import http.client
import json
import sys
from urllib.parse import urlsplit

address = urlsplit(sys.argv[1])
body = json.dumps({"model": "bench-1", "messages": [{"role": "user", "content": "hi"}], "stream": True})
connection = http.client.HTTPConnection(address.netloc)
connection.request("POST", f"{address.path}/chat/completions", body, {"Content-Type": "application/json"})
for line in connection.getresponse():
    if line.startswith(b"data: {"):
        for choice in json.loads(line[6:])["choices"]:
            sys.stdout.write(choice["delta"].get("content", ""))
            sys.stdout.flush()
connection.close()
