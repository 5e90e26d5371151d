"""LiteLLM's proxy: an upstream by other hands, that answers without any provider behind it.

``greeter`` is answered by the proxy itself; ``relay`` goes out again and comes back to the proxy as a client of
``greeter``, for its Anthropic side streams only what it had from another server.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from e2e.upstream import free_port, python_with, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = "1.106.2"
KEY = "sk-" + "0123456789abcdef" * 4
SENTENCE = "Hello from behind the proxy."
VECTOR = [0.25, 0.5, -1.0]

_CHECK = f"""
from litellm.proxy._types import ProxyException, UserAPIKeyAuth


async def check(request, api_key):
    if api_key.removeprefix("Bearer ") != {KEY!r}:
        raise ProxyException(message="this key is not known", type="auth_error", param="key", code=401)
    return UserAPIKeyAuth(api_key=api_key)
"""


@contextmanager
def litellm_proxy(folder: Path) -> Iterator[str]:
    """Run the proxy and yield its address, without ``/v1``."""
    command = python_with("litellm", f"litellm[proxy]=={VERSION}") / "litellm"
    port = free_port()
    (folder / "keys.py").write_text(_CHECK)
    config = folder / "config.yaml"
    config.write_text(json.dumps(_config(port)))  # JSON is YAML
    environ = {
        "PATH": f"{command.parent}:/usr/bin:/bin",
        "HOME": str(folder),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "DISABLE_ADMIN_UI": "True",
    }
    words = [str(command), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    with serving(words, port, "/health/liveliness", environ=environ, log=folder / "proxy.log"):
        yield f"http://127.0.0.1:{port}"


def _config(port: int) -> dict[str, object]:
    own = {"model": "openai/none", "api_key": "none"}
    models = {
        "greeter": {**own, "mock_response": SENTENCE},
        "relay": {"model": "hosted_vllm/greeter", "api_base": f"http://127.0.0.1:{port}/v1", "api_key": KEY},
        "vectors": {**own, "model": "openai/text-embedding-3-small", "mock_response": VECTOR},
    }
    return {
        "model_list": [{"model_name": name, "litellm_params": params} for name, params in models.items()],
        "general_settings": {"master_key": KEY, "custom_auth": "keys.check"},
    }
