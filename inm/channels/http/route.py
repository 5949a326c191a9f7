"""A configured HTTP service that takes messages."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from inm.channels.http import codes
from inm.channels.http.codes import Overlay
from inm.channels.http.message import DEFAULT_BODY, Templates, origin
from inm.channels.http.receipts import Paths, Reader, compiled
from inm.core import networks, webhooks
from inm.core.networks import Network

Address = Literal["phone", "email", "user"]


@dataclass(frozen=True)
class RestRoute:
    """One HTTP service and how to call it. Times are seconds. ``ValueError`` says which option is wrong.

    ``method``, ``url``, and the texts in ``headers`` and ``body`` are templates, see :mod:`inm.channels.http.message`.
    """

    name: str
    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = field(default_factory=lambda: DEFAULT_BODY)
    """A JSON object or list."""
    address: Address = "phone"
    """What of the recipient the service knows people by: ``user`` is the tenant's id."""
    token: str | None = field(default=None, repr=False)
    """A credential for ``{{ token }}`` in headers, or else for ``Authorization: Bearer``."""
    secret: str | None = field(default=None, repr=False)
    """Requests are signed with it by Standard Webhooks: ``whsec_`` and base 64."""
    statuses: Mapping[object, object] = field(default_factory=dict)
    """Results of statuses where this service means something else by them: ``409: sent``, ``5xx: unknown``."""
    message_id: str | None = None
    """JMESPath of the service's own id in its answer; without, receipts name a message by the ``id`` that it was sent with."""
    receipt_secret: str | None = field(default=None, repr=False)
    """What receipts are signed with; without, there are none."""
    receipt_header: str | None = None
    """The header with the HMAC-SHA256 of the body; without, receipts are signed by Standard Webhooks."""
    receipt_items: str = "@"
    """JMESPath of the receipts in a body: one, or a list."""
    receipt_id: str = "id"
    receipt_state: str = "state"
    receipt_at: str = "at"
    receipt_code: str = "code"
    receipt_text: str = "text"
    """JMESPath of each in a receipt."""
    receipt_states: Mapping[str, str] = field(default_factory=dict)
    """The service's words for states, and ours; our own words if there are none."""
    networks: Sequence[str] = ()
    """Private networks that may be called: ``10.20.0.0/16``."""
    ca_file: str | None = None
    """PEM file of the authorities to trust; the system's if absent."""
    connections: int = 20
    """Calls under way at once."""
    connect_timeout: float = 5.0
    submit_timeout: float = 10.0
    """One call, and the whole of one ``send``."""
    patience: float = 3.0
    """How long without any connection before messages are turned away."""
    price: float | None = None
    """What a message costs, in whatever money; for estimates."""

    def __post_init__(self) -> None:
        for limit in ("connections", "connect_timeout", "submit_timeout", "patience"):
            if getattr(self, limit) <= 0:
                raise ValueError(f"{limit}: is {getattr(self, limit)}, it must be above 0")
        if self.address not in get_args(Address):
            raise ValueError(f"address: found {self.address!r}, allowed: {', '.join(get_args(Address))}")
        objection = networks.objection(origin(self.url), self.private)
        if objection:
            raise ValueError(f"url: {objection}")

    @property
    def private(self) -> tuple[Network, ...]:
        """The networks, parsed."""
        try:
            return networks.parse(self.networks)
        except ValueError as error:
            raise ValueError(f"networks: {error}") from error

    def templates(self) -> Templates:
        """Compiled."""
        return Templates(self.method, self.url, self.headers, self.body, self.token)

    def key(self) -> bytes | None:
        """What requests are signed with."""
        try:
            return webhooks.secret(self.secret) if self.secret else None
        except ValueError as error:
            raise ValueError(f"secret: {error}") from error

    def overlay(self) -> Overlay:
        """The route's own results."""
        return codes.overlay(self.statuses)

    def id_path(self) -> Any:
        """The JMESPath of the service's own id, compiled; None if there is none."""
        return compiled("message_id", self.message_id) if self.message_id else None

    def reader(self) -> Reader | None:
        """What reads receipts; None if there are none."""
        if self.receipt_secret is None:
            return None
        paths = Paths(*(getattr(self, f"receipt_{name}") for name in Paths.__dataclass_fields__))
        return Reader(self.name, self.receipt_secret, self.receipt_header, paths, self.receipt_states)

    def tls_context(self) -> ssl.SSLContext:
        """TLS as the route wants it. ``OSError`` if the file of authorities cannot be read."""
        return ssl.create_default_context(cafile=self.ca_file)
