"""Sending a text as a test: by a scenario that uses it, to one address, through the whole way that a real one takes."""

from secrets import token_hex
from typing import Any

import msgspec
from aiohttp import web

from inm import topics
from inm.console.route import Route, get, post
from inm.console.templates import known, number, serving
from inm.console.trying import MOST_VALUES, text_of, typed
from inm.console.visit import Visit
from inm.core import magic
from inm.core.reference import Held
from inm.core.requests import InvalidRequestError, parse
from inm.core.samples import samples
from inm.core.story import masked
from inm.core.usage import scenarios_by_template

_encode = msgspec.json.Encoder().encode


class Testing:
    """The handlers."""

    def routes(self) -> list[Route]:
        return [get("/templates/{name}/test", "write", self.form), post("/templates/{name}/test", "write", self.send)]

    async def form(self, visit: Visit) -> web.StreamResponse:
        """Where to, by which scenario, with which values."""
        return self._page(visit, known(visit))

    async def send(self, visit: Visit) -> web.StreamResponse:
        """Ask for it. What is sent is the version that serves: what nobody has approved is sent to nobody."""
        rows = known(visit)
        name = rows[-1].document["name"]
        scenario, to, mark = visit.field("scenario", 100), visit.field("to", 254), visit.field("mark", 40)
        if scenario not in scenarios_by_template(visit.book).get(name, []):
            return self._page(visit, rows, {"scenario": visit.gettext("Choose a scenario that uses this text.")}, 422)
        if not to:
            return self._page(visit, rows, {"to": visit.gettext("Say where it goes to.")}, 422)
        language, _, tone = visit.field("variant", 60).partition("/")
        whom = {"email" if "@" in to else "phone": to, "language": language, "tone": tone}
        key = f"test-{mark}"
        document = {
            "scenario": scenario,
            "to": {field: value for field, value in whom.items() if value},
            "fields": self._values(visit, rows) | typed(visit),
            "test": True,
            "request_id": key,
        }
        try:
            request = parse(_encode(document), visit.tenant, visit.app.catalogue, now=visit.now)
        except InvalidRequestError as error:
            faults = {("to" if fault.pointer.startswith("/to") else "general"): str(fault) for fault in error.faults}
            return self._page(visit, rows, faults, 422)
        await visit.console.record(visit, "tested", f"{visit.tenant}/template/{name}/{serving(rows)}", f"{scenario}, {masked(to)}")
        partition = topics.partition_of_key(key, visit.app.partitions)
        await visit.console.mailbox.put([(topics.requests(visit.tenant), partition, key.encode(), _encode(request))])
        return visit.redirect(f"/notifications?q={key}", visit.gettext("It was asked for as a test: what becomes of it is told here."))

    def _values(self, visit: Visit, rows: list[Held]) -> dict[str, Any]:
        """What stands in where nothing is typed: fields of requests that the text or the scenarios need."""
        book = visit.book
        name = rows[-1].document["name"]
        template = book.templates.get(name)
        read = template.variables if template else frozenset()
        scenarios = [book.scenarios[each].document for each in scenarios_by_template(book).get(name, [])]
        required = {field for field, declared in book.request.fields.items() if declared.required}
        wanted = {*read, *(field for scenario in scenarios for field in scenario.requires), *required}
        found = samples(book.request, book.user, sorted(wanted))
        known_fields = book.request.fields.keys() if book.request.declared else wanted
        return {field: found[field] for field in sorted(wanted & set(known_fields))[:MOST_VALUES]}

    def _page(self, visit: Visit, rows: list[Held], faults: dict[str, str] | None = None, status: int = 200) -> web.Response:
        row = rows[-1]
        name, channel = row.document["name"], row.document["channel"]
        given = {field: text_of(value) for field, value in typed(visit).items()}
        data: dict[str, Any] = {
            "name": name,
            "channel": channel,
            "version": number(row),
            "serving": serving(rows),
            "scenarios": scenarios_by_template(visit.book).get(name, []),
            "faults": faults or {},
            "magic": magic.ADDRESSES[channel],
        }
        form = {field: visit.field(field, 254) for field in ("scenario", "to", "variant")}
        values = {field: (given.get(field, ""), text_of(value)) for field, value in self._values(visit, rows).items()}
        served = visit.book.templates.get(name)
        more = {
            "form": form,
            "values": values,
            "variants_named": [(key, key) for key in served.keys] if served else [],
            "scenarios_named": [(each, each) for each in data["scenarios"]],
            "mark": token_hex(8),
        }
        return visit.page("template-test.html", data, status, **more)
