"""Realistic requests of the two demo tenants: who would send what, to whom."""

import random
from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec

from inm.core.users import Upsert

NAMES = ("Giulia Ferrari", "Marco Rossi", "Anna Ivanova", "Дмитрий Соколов", "Emily Clarke", "Luca Bianchi", "Ольга Петрова", "Tom Baker")
LANGUAGES = ("it", "it", "it", "en", "en", "ru", "it-CH", "de")
COUNTRIES = ("Switzerland", "France", "Austria", "Croatia")
STATIONS = ("Milano Centrale P3", "Lugano Nord", "A22 Brennero Est", "Bolzano Fiera")


class Traffic:
    """Requests with ids ``<run>-<n>``; the same seed makes the same ones."""

    def __init__(self, run: str, seed: int) -> None:
        self.run = run
        self._chance = random.Random(seed)
        self._crowds = 0

    def users(self, count: int) -> Iterator[tuple[str, bytes]]:
        """User data for ``inm.users``: key and record. Requests then name some of these by their id alone."""
        for number in range(count):
            upsert = Upsert(
                key=f"acme/{self.run}-user-{number}",
                ttl=24 * 3600,
                language=self._chance.choice(LANGUAGES),
                phone=_phone(7_000_000 + number),
                email=f"{self.run}.user{number}@customers.example",
                name=self._chance.choice(NAMES),
            )
            yield upsert.key, msgspec.json.encode(upsert)

    def requests(self, count: int, users: int) -> Iterator[tuple[str, bytes]]:
        """Tenant and request record; one recipient each, numbered so that no two messages are the same."""
        for number in range(count):
            tenant, request = self._request(number, users)
            request["request_id"] = f"{self.run}-{number}"
            yield tenant, msgspec.json.encode(request)

    def hoard(self, mebibytes: int) -> Iterator[tuple[str, bytes]]:
        """So much data of users whom no request names: key and record."""
        for number in range(mebibytes * 16):
            upsert = Upsert(key=f"acme/{self.run}-hoard-{number}", fields={"more": "x" * 65_536})
            yield upsert.key, msgspec.json.encode(upsert)

    def crowd(self, recipients: int) -> tuple[str, str, bytes]:
        """Tenant, id and record of one request for so many; no two are the same."""
        self._crowds += 1
        name = f"{self.run}-crowd-{self._crowds}"
        to = [{"phone": _phone(8_000_000 + number), "language": "en"} for number in range(recipients)]
        request = {"scenario": "otp", "to": to, "fields": {"code": f"{self.run[:4]}-{self._crowds}"}, "request_id": name}
        return "acme", name, msgspec.json.encode(request)

    def _request(self, number: int, users: int) -> tuple[str, dict[str, Any]]:
        make, tenant = self._chance.choices(
            [(self._otp, "acme"), (self._roaming, "acme"), (self._invoice, "acme"), (self._charging, "volta")], [50, 20, 20, 10]
        )[0]  # fmt: skip
        to: dict[str, Any] = {"phone": _phone(number), "language": self._chance.choice(LANGUAGES)}
        if tenant == "acme" and users and self._chance.random() < 0.2:
            to = {"user": f"{self.run}-user-{self._chance.randrange(users)}"}
        return tenant, make(number, to)

    def _otp(self, number: int, to: dict[str, Any]) -> dict[str, Any]:
        return {"scenario": "otp", "to": to, "fields": {"code": f"{number:06}"}}

    def _roaming(self, number: int, to: dict[str, Any]) -> dict[str, Any]:
        fields = {"country": self._chance.choice(COUNTRIES), "call": 0.19, "sms": 0.06, "data": 0.002, "included": 1000 + number}
        return {"scenario": "roaming-welcome", "to": to, "fields": fields}

    def _invoice(self, number: int, to: dict[str, Any]) -> dict[str, Any]:
        if "phone" in to:
            to["email"] = f"{self.run}.{number}@customers.example"
        amount = round(self._chance.uniform(9, 90), 2)
        fields = {
            "name": self._chance.choice(NAMES),
            "invoice": f"2026-{number:08}",
            "amount": amount,
            "due": date(2026, 12, 15).isoformat(),
            "link": f"https://acme.example/i/{number}",
            "lines": [{"text": "Flat 100", "amount": round(amount - 4, 2)}, {"text": "Roaming", "amount": 4}],
        }
        return {"scenario": "invoice-ready", "to": to, "fields": fields}

    def _charging(self, number: int, to: dict[str, Any]) -> dict[str, Any]:
        fields = {
            "station": f"{self._chance.choice(STATIONS)} #{number}",
            "energy": round(self._chance.uniform(4, 60), 1),
            "cost": round(self._chance.uniform(2, 40), 2),
            "grace": 15,
        }
        return {"scenario": "charging-finished", "to": to, "fields": fields}


def _phone(number: int) -> str:
    return f"+39333{number:07}"
