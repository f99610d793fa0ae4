"""A conversation with one node: envelopes out, SOAP bodies back, faults as errors, one broken connection replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from xml.etree import ElementTree as ET

from azpreflight.credentials import Credential
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import Rejected, WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm.channel import Channel, Endpoint
from azpreflight.facts.winrm.faults import fault_of
from azpreflight.facts.winrm.soap import body_of, envelope, parse
from azpreflight.facts.winrm.wire import Wire

GRACE_SECONDS = 5.0
"""How much longer to listen than the node was told it may take, so that its own timeout fault arrives."""


class Session:
    """A conversation with one node over one connection.

    Attributes:
        endpoint: where the node is reached.
        username: the account that it logs on with.
        accepted: whether the node has ever accepted the credential in this conversation.
        broken: why nothing more can be asked; None while it can.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credential: Credential,
        operation_seconds: float,
        new_channel: Callable[[], Wire] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.username = credential.username
        self.accepted = False
        self.broken: WireError | None = None
        self._operation_seconds = operation_seconds
        self._replaced = False
        self._new_channel = new_channel or partial(Channel, endpoint, credential)
        self._channel = self._new_channel()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def revive(self) -> bool:
        """Replace a broken connection by a new one; only with a credential that was accepted.

        Returns:
            Whether the session can be used.
        """
        if self.broken is not None and self.accepted and not isinstance(self.broken, Rejected):
            self._channel.close()
            self._channel = self._new_channel()
            self.broken = None
        return self.broken is None

    def connect(self, deadline: Deadline) -> None:
        """Authenticate before there is a question, where that can be done. A failure makes the session `broken`."""
        try:
            self._channel.connect(deadline)
        except WireError as error:
            self.broken = error
        self.accepted = self.accepted or self._channel.authenticated

    def replace_once(self) -> bool:
        """`revive`, but only the first time: a node that breaks connection after connection is left alone."""
        if self._replaced:
            return False
        self._replaced = True
        return self.revive()

    def request(
        self,
        uri: str,
        action: str,
        body: str,
        *,
        deadline: Deadline,
        seconds: float | None = None,
        selectors: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> ET.Element:
        """Send one request and return the SOAP body of the answer.

        The first request authenticates. After a rejected credential or a broken connection nothing is sent any more.
        The node may take `seconds`, or as long as any operation; its word that they are over is waited for.

        Raises:
            Fault: the node answered with a fault.
            WireError: no usable answer.
        """
        if self.broken is not None:
            raise self.broken
        if deadline.over:
            raise WireError(Status.TIMED_OUT, "the time for this node is over")
        seconds = min(seconds or self._operation_seconds, deadline.remaining)
        message = envelope(self.endpoint.url, uri, action, body, timeout=seconds, selectors=selectors, options=options)
        try:
            text = self._channel.send(message.encode(), deadline.within(seconds + GRACE_SECONDS))
        except WireError as error:
            if error.fatal:
                self.broken = error
            raise
        finally:
            self.accepted = self.accepted or self._channel.authenticated
        content = body_of(parse(text))
        if (fault := fault_of(content)) is not None:
            raise fault
        return content
