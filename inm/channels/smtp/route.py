"""A configured SMTP server."""

import socket
import ssl
from dataclasses import dataclass, field
from typing import Literal

Security = Literal["none", "starttls", "tls"]


@dataclass(frozen=True, slots=True)
class EmailRoute:
    """One SMTP server and how to use it. Times are seconds. ``ValueError`` says what is wrong with it."""

    name: str
    host: str
    port: int = 587
    security: Security = "starttls"
    """``starttls`` is never done without; ``tls`` is TLS from the first byte (RFC 8314)."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    """PEM file of the authorities to trust; the system's if absent."""
    verify: bool = True
    """Whether the server must prove its name by a certificate."""
    connections: int = 4
    """How many are kept open. Each carries one message at a time, so this bounds the rate: connections / (2 x round trip), or 4 x if the
    server does not take several commands at once (PIPELINING)."""
    messages: int = 1000
    """After so many messages a connection is closed and opened anew, so that load balancers can balance."""
    connect_timeout: float = 10.0
    """From the first packet to the end of AUTH."""
    command_timeout: float = 10.0
    submit_timeout: float = 30.0
    """The whole of one ``send``, and the wait for the answer after the final dot."""
    patience: float = 3.0
    """How long without any connection before messages are turned away."""
    local_hostname: str = field(default_factory=socket.gethostname)
    """What EHLO says."""
    price: float | None = None
    """What a message costs, in whatever money; for estimates."""

    def __post_init__(self) -> None:
        if self.security not in ("none", "starttls", "tls"):
            raise ValueError(f"route {self.name}: security is {self.security!r}, allowed are none, starttls and tls")
        if self.username is not None and self.security == "none":
            raise ValueError(f"route {self.name}: a password would cross the network in the clear; set security to starttls or tls")
        if (self.username is None) != (self.password is None):
            raise ValueError(f"route {self.name}: username and password come together or not at all")
        for limit in ("connections", "messages", "connect_timeout", "command_timeout", "submit_timeout", "patience"):
            if getattr(self, limit) <= 0:
                raise ValueError(f"route {self.name}: {limit} is {getattr(self, limit)}, it must be above 0")

    def tls_context(self) -> ssl.SSLContext:
        """TLS as the route wants it. ``OSError`` if the file of authorities cannot be read."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
