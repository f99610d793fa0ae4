"""The source `winrm`: the facts of nodes, each in a conversation of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from azpreflight.credentials import Credential
from azpreflight.facts.collection import Collection, Keep, unobserved
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm.channel import Endpoint
from azpreflight.facts.winrm.conversation import SOURCE, Conversation
from azpreflight.facts.winrm.session import Session
from azpreflight.facts.winrm.wire import Wire
from azpreflight.site.model import Node

QUERY_SECONDS = 60.0
"""How long one request may take on the node: Windows' own default limit (MaxTimeoutms)."""


class WinrmSource:
    """Reads nodes over WinRM.

    Args:
        credential: tried once per node.
        endpoint_of: where and how each node is reached.
        query_seconds: how long one request may take.
        try_all: whether nodes are still tried after one has rejected the credential. A domain account locks after few
            failures, wherever they happen.
        channel_of: what carries requests to a node; None for a connection of its own.
    """

    def __init__(
        self,
        credential: Credential,
        endpoint_of: Callable[[Node], Endpoint],
        *,
        query_seconds: float = QUERY_SECONDS,
        try_all: bool = False,
        channel_of: Callable[[Node, Endpoint], Wire] | None = None,
    ) -> None:
        self._channel_of = channel_of
        self._credential = credential
        self._endpoint_of = endpoint_of
        self._query_seconds = query_seconds
        self._try_all = try_all
        self._rejected_by: str | None = None
        self._lock = threading.Lock()

    def collect_node(self, node: Node, collection: Collection, deadline: Deadline, keep: Keep) -> None:
        """Keep one observation for each query that concerns the node. Never raises for what a node does."""
        with self._lock:
            rejected_by = None if self._try_all else self._rejected_by
        if rejected_by is not None:
            reason = f"not tried, since {rejected_by} rejected the credential; --try-all-nodes goes on all the same"
            for observation in unobserved(collection.of_node(node), node.name, SOURCE, Status.NOT_ASKED, reason):
                keep(observation)
            return
        endpoint = self._endpoint_of(node)
        new_channel = partial(self._channel_of, node, endpoint) if self._channel_of is not None else None

        def new_session() -> Session:
            return Session(endpoint, self._credential, self._query_seconds, new_channel)

        if Conversation(node, collection, deadline, new_session, keep).run() is not None:
            with self._lock:
                self._rejected_by = self._rejected_by or node.name
