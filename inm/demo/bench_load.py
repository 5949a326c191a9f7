"""What the measured installation has to decide by: scenarios with rules, texts in three languages, and users."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from inm.core.users import Upsert
from inm.demo.installation import CONFIG

TENANT, ROUTE, MAIL_ROUTE = "acme", "smsc-1", "smtp-1"
SCENARIOS, RULES = 20, 10
LONG = 10
"""One in so many scenarios has a text of two parts."""
TARIFFS = 7
LANGUAGES = ("it", "en", "ru")
CONNECTIONS = 32
"""To the SMTP server: each carries one mail at a time, in two turns of question and answer."""
RATE = 100_000.0
"""Parts a second of the route's throttle, which is never reached."""
FIELDS = {"name": "Ada", "code": "%(n)06d", "amount": 34.9, "country": "Liechtenstein"}

_TEXTS = {
    "it": "{{ name }}, il tuo ordine {{ code }} di {{ amount|money }} è stato spedito. Acme",
    "en": "{{ name }}, your order {{ code }} of {{ amount|money }} is on its way. Acme",
    "ru": "{{ name }}, заказ {{ code }} на {{ amount|money }} отправлен. Acme",
}
_MORE = {
    "it": " Lo consegna il corriere al tuo indirizzo; se non sei in casa ti aspetta al punto di ritiro più vicino per dieci giorni.",
    "en": " A courier brings it to your address; if you are not at home it waits for you at the nearest pick-up point for ten days.",
    "ru": " Курьер привезёт его к вам; если вас нет дома, он ждёт десять дней.",  # noqa: RUF001
}


def scenario(number: int) -> str:
    """The name of one of the scenarios, which take turns."""
    return f"bench-{number % SCENARIOS + 1:02}"


def configure(folder: Path, rate: float = RATE, more: str = "") -> None:
    """Write there what the demo has, with the route's rate, the scenarios of the load and ``more`` documents of the tenant."""
    shutil.copytree(CONFIG, folder)
    file = folder / "inm.yaml"
    settings = msgspec.yaml.decode(file.read_bytes())
    settings["routes"][ROUTE]["rate"] = rate
    settings["routes"][MAIL_ROUTE]["connections"] = CONNECTIONS
    file.write_bytes(msgspec.yaml.encode(settings))
    written = [msgspec.yaml.encode(document).decode() for number in range(SCENARIOS) for document in _documents(number)]
    (folder / "tenants" / TENANT / "bench.yaml").write_text("---\n".join([*written, *filter(None, [more])]), encoding="utf-8")


def upserts(users: int, user: Callable[[int], str]) -> Iterator[Upsert]:
    """What INM is told of so many users; ``user`` is the id of one by its number."""
    for number in range(users):
        yield Upsert(
            key=f"{TENANT}/{user(number)}",
            language=LANGUAGES[number % len(LANGUAGES)],
            phone=f"+39334{number:07}",
            name=f"Customer {number}",
            fields={"plan": f"Tariff {number % TARIFFS}"},
        )


def _documents(number: int) -> list[dict[str, Any]]:
    """A scenario and its template."""
    name = scenario(number)
    step = {"channel": "sms", "template": name, "sender": "acme-sms", "until": "delivered", "after": 300}
    about = {"tenant": TENANT, "name": name}
    texts = {language: text + (_MORE[language] if number % LONG == LONG - 1 else "") for language, text in _TEXTS.items()}
    return [
        {"kind": "scenario", **about, "validity": 3600, "on_unknown": "resend", "requires": list(FIELDS), "plan": [step]}
        | {"rules": [*map(_never, range(RULES - 1)), {"name": "the last", "when": "request.amount > 10.0", "lane": "normal"}]},
        {"kind": "template", **about, "channel": "sms", "variants": {language: {"text": text} for language, text in texts.items()}},
    ]


def _never(number: int) -> dict[str, Any]:
    """A rule that does not hold, though all of it has to be looked at."""
    country = f"request.country == 'Land {number}' || request.amount > {1000 + number}.0"
    tariff = f"request.amount > 5.0 && user.plan == 'Tariff {number + TARIFFS}'"
    return {"name": f"rule {number + 1}", "when": tariff if number % 2 else country, "send": False}
