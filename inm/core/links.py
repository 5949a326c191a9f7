"""Links: how we learn that an e-mail was read. A picture that the reader loads and links that lead by us, both signed.

Without the key nobody makes such an address, so none of them leads where we did not want to lead, or reads what was not sent.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from html import escape, unescape
from typing import Literal
from urllib.parse import quote

from msgspec import Struct, structs

from inm.core.ids import NOTIFICATION
from inm.core.records import Delivery, Outcome, Receipt

Way = Literal["opened", "clicked"]

ROUTE = "link"
"""What stands for the route in receipts of this kind."""
BYTES = 15
"""Of the HMAC-SHA256 that are kept: 120 bits, 20 characters."""
MAX_TARGET = 2000
"""Characters of a link that leads by us; a longer one stays as it is."""

_HREF = re.compile(r"(<a\b[^>]*?\bhref\s*=\s*)([\"'])(https?://[^\"'\s>]+)\2", re.IGNORECASE)
_END = re.compile(r"</body\s*>", re.IGNORECASE)
_DELIVERY = re.compile(NOTIFICATION + r"\.[0-9]{1,2}\.[0-9]{1,3}")

_PROXIES = {
    "googleimageproxy": "an image proxy",
    "ggpht.com": "an image proxy",
    "yahoomailproxy": "an image proxy",
    "yahoocachesystem": "an image proxy",
    "barracuda": "a scanner",
    "proofpoint": "a scanner",
    "mimecast": "a scanner",
    "symantec": "a scanner",
    "bitdefender": "a scanner",
    "bingpreview": "a preview",
    "slackbot": "a preview",
    "skypeuripreview": "a preview",
    "facebookexternalhit": "a preview",
    "whatsapp": "a preview",
    "telegrambot": "a preview",
    "bot": "a robot",
    "crawler": "a robot",
    "spider": "a robot",
    "curl/": "a program",
    "wget/": "a program",
    "python": "a program",
    "java/": "a program",
    "go-http-client": "a program",
}
"""Parts of the User-Agent, in lower case, of what loads pictures and follows links without a reader."""


class Links(Struct, frozen=True):
    """Where readers reach us (``https://host``), and the key that signs."""

    url: str
    key: bytes

    def __repr__(self) -> str:
        return f"Links(url={self.url!r})"


def signature(key: bytes, delivery: str, target: str = "") -> str:
    """Of a picture, or of a link to ``target``."""
    made = hmac.new(key, f"{delivery}\0{target}".encode(), sha256).digest()
    return urlsafe_b64encode(made[:BYTES]).decode()


def tracked(delivery: Delivery, links: Links | None) -> Delivery:
    """The delivery with a picture, and with its links leading by us, if it waits for being read and has HTML."""
    html = delivery.content.html
    if links is None or html is None or not delivery.track:
        return delivery

    def by_us(found: re.Match[str]) -> str:
        target = unescape(found[3])
        if len(target) > MAX_TARGET:
            return found[0]
        address = f"{links.url}/l/{delivery.id}/{signature(links.key, delivery.id, target)}?to={quote(target, safe='')}"
        return f"{found[1]}{found[2]}{escape(address)}{found[2]}"

    picture = f'<img src="{links.url}/o/{delivery.id}/{signature(links.key, delivery.id)}" width="1" height="1" alt="" style="border:0">'
    html = _HREF.sub(by_us, html)
    end = _END.search(html)
    place = end.start() if end else len(html)
    content = structs.replace(delivery.content, html=html[:place] + picture + html[place:])
    return structs.replace(delivery, content=content)


def is_ours(key: bytes, delivery: str, signed: str, target: str = "") -> bool:
    """Whether we have made this address."""
    return bool(_DELIVERY.fullmatch(delivery)) and hmac.compare_digest(signature(key, delivery, target).encode(), signed.encode())


def automated(method: str, headers: Mapping[str, str]) -> str | None:
    """What asks for it in place of a reader; None: a reader, as far as can be told. ``headers`` by names in lower case."""
    if method != "GET":
        return "a scanner"
    if "prefetch" in headers.get("purpose", "") + headers.get("sec-purpose", "") + headers.get("x-moz", ""):
        return "a preview"
    agent = headers.get("user-agent", "").strip().lower()
    if agent in ("", "mozilla/5.0"):  # the latter: Apple's Mail Privacy Protection, which loads everything at once
        return "an image proxy"
    return next((what for part, what in _PROXIES.items() if part in agent), None)


def outcome(delivery: str, way: Way, at: int, by: str | None) -> Outcome:
    """What it says of the delivery: that it was read, or, ``by`` something automated, nothing but that. ``at`` in ms."""
    notification, step, attempt = delivery.rsplit(".", 2)
    text = f"{way} by {by}: automated, counts as nothing" if by else way
    return Outcome(
        id=f"{delivery}/receipt/{way}/{by or 'read'}",
        kind="receipt",
        notification=notification,
        delivery=delivery,
        key=notification,
        at=at,
        step=int(step),
        attempt=int(attempt),
        route=ROUTE,
        receipt=Receipt(ROUTE, way, "pending" if by else "read", at, text=text),
    )
