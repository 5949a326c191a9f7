"""Changes: what somebody asks for, decided over the documents that are held. All of a change is done, or nothing of it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from inm.core.catalogue import check
from inm.core.documents import Document, Parsed, path_of, shape
from inm.core.faults import Fault, child
from inm.core.moderation import TRANSITIONS, moderate, vouched
from inm.core.reference import Answer, Change, Done, Held, Item, Result, Wrong, kind_of, tenant_of, versions

LARGEST = 512 * 1024
"""Bytes of a document as JSON: it must be one record, with room for who wrote it."""
AHEAD = 24 * 3600 * 1000
"""Milliseconds by which the clock of who asks may be ahead of ours: answers are swept by that time."""
MOST = 100
"""Faults, and warnings, that an answer names."""
SEEDER = "seed"
OPERATORS = frozenset({"tenant", "key", "account", "source", "callback"})
"""Kinds that who may change one tenant only may not change: they say who may do what, and which secrets are used."""


class Changed(NamedTuple):
    """New rows by path (None: deleted), and the answer."""

    rows: dict[str, Held | None]
    answer: Answer


def change(held: Mapping[str, Held], asked: Change, routes: Mapping[str, str], now: int) -> Changed:
    """Decide a change over all documents ``held`` of the tenants that it names. ``routes`` says the channel of each configured route."""
    draft = _Draft(held, asked)
    draft.wrong += _faulty(asked, now)
    for item in () if draft.wrong else asked.items:
        draft.take(item)
    if not draft.wrong:
        draft.check(routes)
    if draft.wrong:
        return Changed({}, Answer(asked.id, wrong=draft.wrong[:MOST]))
    return Changed({} if asked.dry_run else draft.rows, Answer(asked.id, draft.done))


def seeding(documents: Iterable[Parsed], now: int) -> Change:
    """The change that an empty installation begins with: reviewed by who deploys it, and refused as a whole if anything is there."""
    items = [Item("apply", parsed.path, parsed.document, expected=0, place=parsed.place) for parsed in documents]
    return Change("seed", SEEDER, now, sorted(items, key=lambda item: kind_of(item.path) != "tenant"), approved_by="deployment")


def _faulty(asked: Change, now: int) -> Iterator[Wrong]:
    if asked.at > now + AHEAD:
        yield Wrong("", Fault("/at", "is in the future: is the clock right?", str(asked.at), f"at most {now + AHEAD}"))
    if asked.approved_by and asked.tenant:
        yield Wrong("", Fault("/approved_by", "who may change one tenant only cannot vouch for another person's review"))
    for path in sorted(_repeated(asked.items)):
        yield Wrong(path, Fault("", "is in the change more than once"))


def _repeated(items: Sequence[Item]) -> set[str]:
    """Paths that several items mean: a template is deleted with all its versions."""
    moderated = {item.path.rpartition("/")[0] for item in items if item.action in TRANSITIONS}
    deleted = {item.path for item in items if item.action == "delete"}
    return {path for path, times in Counter(item.path for item in items).items() if times > 1} | (moderated & deleted)


class _Refusal(Exception):
    """Why an item cannot be done."""

    def __init__(self, *faults: Fault, conflict: bool = False) -> None:
        self.faults = faults
        self.conflict = conflict


class _Draft:
    """The documents as they will be if nothing is wrong."""

    def __init__(self, held: Mapping[str, Held], asked: Change) -> None:
        self._before = held
        self._asked = asked
        self._after = dict(held)
        self._places: dict[str, str | None] = {}
        self.rows: dict[str, Held | None] = {}
        self.done: list[Done] = []
        self.wrong: list[Wrong] = []

    def take(self, item: Item) -> None:
        act = {"apply": self._apply, "delete": self._delete}.get(item.action, self._moderate)
        try:
            self._allow(item)
            done = act(item)
        except _Refusal as refusal:
            self.wrong += [Wrong(item.path, fault, item.place, refusal.conflict) for fault in refusal.faults]
        else:
            self._places[done.path] = item.place
            self.done.append(done)

    def _allow(self, item: Item) -> None:
        tenant, kind = tenant_of(item.path), kind_of(item.path)
        if self._asked.tenant not in (None, tenant):
            raise _Refusal(Fault("/tenant", "is not yours", tenant, self._asked.tenant))
        if self._asked.tenant is not None and kind in OPERATORS:
            raise _Refusal(Fault("/kind", "is changed by operators only", kind))

    # -- what an item does ------------------------------------------------------------------------

    def _apply(self, item: Item) -> Done:
        current = self._before.get(item.path)
        document = item.document or {}
        if kind_of(item.path) == "account" and "password" not in document and current is not None:
            # it is never exported, and so not there when the document is applied again
            document |= {name: value for name, value in current.document.items() if name == "password"}
        _examine(item.path, document)
        if kind_of(item.path) == "template":
            return self._write(item, document)
        if current is not None and current.change == self._asked.id:
            return Done(item.path, "unchanged", current.revision)
        revision = current.revision if current else 0
        _expect(item, current, revision)
        if current is not None and normal(current.document) == normal(document):
            return Done(item.path, "unchanged", revision)
        self._put(Held(item.path, revision + 1, document, self._asked.author, self._asked.at, change=self._asked.id))
        return Done(item.path, "configured" if current else "created", revision + 1)

    def _write(self, item: Item, document: dict[str, Any]) -> Done:
        """A text that differs from the newest version makes a new one."""
        known = versions(self._before, item.path)
        newest = known[-1] if known else None
        if newest is not None and normal(newest.document) == normal(document):
            reviewed = self._asked.approved_by and newest.state in ("draft", "submitted")
            return self._vouch(newest, "approved") if reviewed else Done(newest.path, "unchanged", newest.revision)
        _expect(item, newest, len(known))
        asked, path = self._asked, f"{item.path}/{len(known) + 1}"
        version = Held(path, 1, document, asked.author, asked.at, "draft", comment=item.comment, change=asked.id)
        result: Result = "configured" if known else "created"
        if asked.approved_by:
            return self._vouch(version, result)
        self._put(version)
        return Done(path, result, 1)

    def _vouch(self, version: Held, result: Result) -> Done:
        approved = vouched(version, self._asked, self._moderated(version.path))
        if isinstance(approved, Fault):
            raise _Refusal(approved)
        self._put(approved)
        return Done(version.path, result, approved.revision)

    def _delete(self, item: Item) -> Done:
        is_template = kind_of(item.path) == "template"
        if is_template and item.path.count("/") > 2:
            raise _Refusal(Fault("", "a version is never deleted alone", item.path, item.path.rpartition("/")[0]))
        known = versions(self._before, item.path) if is_template else list(filter(None, [self._before.get(item.path)]))
        if not known:
            return Done(item.path, "unchanged")
        _expect(item, known[-1], len(known) if is_template else known[-1].revision)
        for row in known:
            self.rows[row.path] = None
            del self._after[row.path]
        return Done(item.path, "deleted")

    def _moderate(self, item: Item) -> Done:
        version = self._before.get(item.path)
        if version is None or version.state is None:
            raise _Refusal(Fault("", "there is no such version of a template", item.path, "like acme/template/otp-sms/4"))
        result = TRANSITIONS[item.action].result
        if version.change == self._asked.id:
            return Done(item.path, result, version.revision)
        _expect(item, version, version.revision)
        moderated = moderate(version, item.action, self._asked, item.comment, self._moderated(item.path))
        if isinstance(moderated, Fault):
            raise _Refusal(moderated)
        self._put(moderated)
        return Done(item.path, result, moderated.revision)

    def _moderated(self, path: str) -> bool:
        """Whether a review needs another person: as the tenant has been before this change, if it was there."""
        place = f"{tenant_of(path)}/tenant"
        tenant = self._before.get(place) or self._after.get(place)
        return tenant is None or bool(tenant.document.get("moderation", True))

    def _put(self, row: Held) -> None:
        self.rows[row.path] = self._after[row.path] = row

    # -- what becomes of the others ---------------------------------------------------------------

    def check(self, routes: Mapping[str, str]) -> None:
        """Whether each tenant's documents still fit each other."""
        for item in self._asked.items:
            if item.action == "delete":
                self.wrong += self._uses(item)
        warnings: list[tuple[str, str]] = []
        for tenant in [] if self.wrong else sorted({tenant_of(path) for path in self.rows}):
            warnings += self._check_tenant(tenant, routes)
        told: dict[str, list[str]] = {}
        for path, text in warnings[:MOST]:
            told.setdefault(path, []).append(text)
        self.done = [replace(done, warnings=told[done.path]) if done.path in told else done for done in self.done]

    def _uses(self, item: Item) -> Iterator[Wrong]:
        """Why a document cannot be deleted: what is left needs it."""
        tenant, kind, name = [*item.path.split("/"), "", ""][:3]
        mine = _of(tenant, self._after)
        if kind == "tenant" and mine:
            few = ", ".join(sorted(mine)[:5])
            yield Wrong(item.path, Fault("", f"the tenant has {len(mine)} other documents", few, "none"), item.place)
        for path, row in mine.items() if kind in ("template", "sender") else ():
            for pointer in _mentions(row.document, kind, name) if kind_of(path) == "scenario" else ():
                yield Wrong(item.path, Fault("", f"is in use by {path} at {pointer}"), item.place)

    def _check_tenant(self, tenant: str, routes: Mapping[str, str]) -> list[tuple[str, str]]:
        after = _of(tenant, self._after)
        if not after:
            return []
        if f"{tenant}/tenant" not in after:
            self.wrong.append(Wrong(f"{tenant}/tenant", Fault("", "there is no such tenant", tenant)))
            return []
        found = check(tenant, after, routes, [path for path in self.rows if tenant_of(path) == tenant])
        known: list[tuple[str, Fault]] | None = None
        for path, fault in found.faults:
            if path not in self.rows and known is None:
                # it may have been wrong before, say by a route that is not configured any more: that is not this change's fault
                known = check(tenant, _of(tenant, self._before), routes, ()).faults
            if path in self.rows or (path, fault) not in (known or ()):
                self.wrong.append(Wrong(path, fault, self._places.get(path)))
        return found.warnings


def _expect(item: Item, current: Held | None, revision: int) -> None:
    """Another revision than the one that the author saw is a conflict."""
    if item.expected in (None, revision):
        return
    words = f"{current.author} has changed it meanwhile" if current else "it is not there any more"
    raise _Refusal(Fault("/revision", words, str(revision), str(item.expected)), conflict=True)


def _examine(path: str, document: dict[str, Any]) -> None:
    """Refuse what is no document of its path."""
    faults = shape(document)
    if faults:
        raise _Refusal(*faults)
    own = path_of(document)
    if own != path:
        raise _Refusal(Fault("/name", "is not that of the path", own, path))
    size = len(msgspec.json.encode(document))
    if size > LARGEST:
        raise _Refusal(Fault("", "is too large", f"{size} bytes", f"{LARGEST} bytes"))


def normal(document: Mapping[str, Any]) -> Any:
    """A document without what says no more than the defaults do: two of which this is equal are the same."""
    return msgspec.to_builtins(msgspec.convert(document, Document))


def _of(tenant: str, held: Mapping[str, Held]) -> dict[str, Held]:
    return {path: row for path, row in held.items() if tenant_of(path) == tenant}


def _mentions(value: Any, key: str, name: str, pointer: str = "") -> Iterator[str]:
    """Where a name stands under a key."""
    for inner, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if inner == key and item == name:
            yield child(pointer, inner)
        yield from _mentions(item, key, name, child(pointer, inner))
