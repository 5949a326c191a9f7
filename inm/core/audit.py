"""The audit trail: who did what, when, and why; of documents, what was there before and what is there now."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from inm.core.campaigns import Act, Action, Create
from inm.core.changes import Changed
from inm.core.copies import SECRET
from inm.core.deadletters import Closing
from inm.core.faults import child
from inm.core.records import Outcome
from inm.core.reference import Change, Held, Item, tenant_of
from inm.core.routing import Order

LONGEST = 1_000
"""Characters of a text that an entry repeats."""
MOST = 50
"""Differences that it names."""
HIDDEN = "•••"
EVERYBODY = "*"
"""Stands for the tenant where something was done to all of them."""

ACTIONS: Mapping[str, str] = {
    "created": "made a document",
    "configured": "changed a document, or wrote a new version of a text",
    "deleted": "deleted a document",
    "submitted": "handed a text in for review",
    "withdrawn": "took a text back from review",
    "approved": "approved a text",
    "rejected": "rejected a text",
    "signed-in": "signed in",
    "sign-in-refused": "was refused: a wrong password, an unknown or disabled account, or too many attempts",
    "signed-out": "signed out",
    "unmasked": "saw personal data in full",
    "cancelled": "called a notification back, in time or not",
    "resent": "had a notification sent again",
    "tested": "had a text sent as a test",
    "invalidated": "had forgotten what was known of a user",
    "campaign-created": "made a campaign, without its audience",
    "campaign-started": "started a campaign",
    "campaign-paused": "paused a campaign",
    "campaign-resumed": "let a paused campaign go on",
    "campaign-cancelled": "ended a campaign before its time",
    "campaign-paced": "gave a campaign another pace",
    "retried": "sent the record of a dead letter back",
    "dropped": "closed a dead letter without sending anything",
    "route-out": "put a route out, for all tenants",
    "route-in": "put a route back",
}
"""Everything that is recorded."""
ORDERED: Mapping[Action, str] = {
    "start": "campaign-started",
    "pause": "campaign-paused",
    "resume": "campaign-resumed",
    "cancel": "campaign-cancelled",
    "pace": "campaign-paced",
}


class Difference(Struct, frozen=True, omit_defaults=True):
    """A place of a document (JSON pointer), before and after; None: it was not there, or is not there any more."""

    pointer: str
    before: Any = None
    after: Any = None


class Entry(Struct, frozen=True, omit_defaults=True):
    """A record of ``inm.audit``. ``at`` in ms since 1970; ``id`` is the same if it was written twice."""

    id: str
    at: int
    tenant: str
    who: str
    """The account's name; ``key …`` is an API key; a name given to a command is taken as it is."""
    what: str
    """One of :data:`ACTIONS`."""
    path: str = ""
    """The document, or the notification, it was done to."""
    why: str | None = None
    address: str | None = None
    """The network address somebody came from."""
    changes: list[Difference] = []


def of_change(asked: Change, held: Mapping[str, Held], changed: Changed) -> Iterator[Entry]:
    """What a decided change has done, document by document."""
    items = {item.path: item for item in asked.items}
    results = {each.path: each.result for each in changed.answer.done}
    for path, row in changed.rows.items():
        before = held.get(path)
        base = before or _former(path, held)
        result = results.get(path) or ("deleted" if row is None else "configured")
        differences = changes(base.document if base else {}, row.document if row else {})
        yield Entry(
            id=f"{asked.id}/{path}",
            at=asked.at,
            tenant=tenant_of(path),
            who=asked.author,
            what=result,
            path=path,
            why=_why(items, path, row),
            changes=[*_state(before, row), *differences],
        )


def of_order(order: Create | Act) -> Entry:
    """An order that was carried out."""
    what, why = (ORDERED[order.action], order.why) if isinstance(order, Act) else ("campaign-created", None)
    return Entry(order.id, order.at, order.tenant, order.author, what, f"{order.tenant}/campaign/{order.name}", why)


def of_cancel(wish: Outcome, tenant: str) -> Entry:
    """The first wish that a notification be called back; what became of it the notification's story tells."""
    return Entry(wish.id, wish.at, tenant, wish.by, "cancelled", f"{tenant}/notification/{wish.notification}", wish.why)


def of_closing(closing: Closing, tenant: str) -> Entry:
    """The end of a dead letter. An empty ``tenant``: it is nobody's."""
    name = f"dead/{closing.closes}"
    return Entry(name, closing.at, tenant, closing.by, closing.action, f"{tenant}/{name}", closing.why)


def of_route(order: Order) -> Entry:
    """A route put out or back."""
    what = "route-out" if order.out else "route-in"
    return Entry(f"{what}/{order.route}/{order.at}", order.at, EVERYBODY, order.by, what, f"route/{order.route}", order.why or None)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """What differs, place by place; long texts are cut, and passwords hidden."""
    found: list[Difference] = []
    for difference in _walk(before, after, ""):
        if len(found) == MOST:
            break
        found.append(difference)
    return found


def _former(path: str, held: Mapping[str, Held]) -> Held | None:
    """The version before a new version of a template."""
    name, _, version = path.rpartition("/")
    return held.get(f"{name}/{int(version) - 1}") if path.count("/") == 3 and version.isdecimal() else None


def _why(items: Mapping[str, Item], path: str, row: Held | None) -> str | None:
    item = items.get(path) or items.get(path.rpartition("/")[0])
    return (item.comment if item else None) or (row.comment if row else None)


def _state(before: Held | None, after: Held | None) -> Iterable[Difference]:
    was, now = before.state if before else None, after.state if after else None
    return [] if was == now else [Difference("/state", was, now)]


def _walk(before: Any, after: Any, pointer: str) -> Iterator[Difference]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            yield from _walk(before.get(key), after.get(key), child(pointer, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, pair in enumerate(zip(before, after, strict=True)):
            yield from _walk(*pair, child(pointer, place))
    else:
        hidden = pointer == f"/{SECRET}"
        yield Difference(pointer, _cut(before, hidden), _cut(after, hidden))


def _cut(value: Any, hidden: bool) -> Any:
    if value is None:
        return None
    if hidden:
        return HIDDEN
    if isinstance(value, str):
        return value if len(value) <= LONGEST else value[:LONGEST] + "…"
    text = str(value)
    return value if len(text) <= LONGEST else text[:LONGEST] + "…"
