"""A home that asks a server which answers what it was asked."""

from __future__ import annotations

import pytest
from support.chat_server import ChatServer
from support.processes import Home


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
def server(home):
    with ChatServer() as server:
        home.serve(server.url)
        yield server
