"""Nothing of ours but the worker: Kafka's console producer asks, jsmpp's SMSC and stock aiosmtpd are the providers."""

import asyncio
import json
from pathlib import Path
from typing import Any

from inm import topics
from inm.demo.installation import Installation
from inm.demo.kafka import console_producer
from tests.support.strangers import Jsmpp, stock_smtp
from tests.support.tap import Tap

EACH = 12
FAMILY = 3


def requests(run: str) -> dict[str, dict[str, Any]]:
    """By request id."""
    asked: dict[str, dict[str, Any]] = {}
    for number in range(EACH):
        for language in ("it", "ru"):
            to = {"phone": f"+3935{'it ru'.index(language)}{number:07}", "language": language}
            asked[f"{run}-otp-{language}-{number}"] = {"scenario": "otp", "to": to, "fields": {"code": f"{number:06}"}}
        prices = {"call": 0.19, "sms": 0.06, "data": 3.5, "included": 1000 + number}
        to = {"phone": f"+39356{number:07}", "language": "ru"}
        asked[f"{run}-roaming-{number}"] = {"scenario": "roaming-welcome", "to": to, "fields": {"country": "Франция", **prices}}
        invoice = {
            "invoice": f"2026-{number}",
            "amount": 1234.5,
            "due": "2026-12-15",
            "link": "https://acme.example/i",
            "name": "Ольга Петрова",
        }
        lines = [{"text": "Flat <100>", "amount": 1230.5}, {"text": "Roaming", "amount": 4}]
        to = {"email": f"olga{number}@customers.example", "language": "ru"}
        asked[f"{run}-invoice-{number}"] = {"scenario": "invoice-ready", "to": to, "fields": invoice | {"lines": lines}}
    family = [{"phone": f"+39357{number:07}", "language": "en"} for number in range(FAMILY)]
    asked[f"{run}-family"] = {"scenario": "otp", "to": family, "fields": {"code": "777777"}}
    return {name: request | {"request_id": name} for name, request in asked.items()}


async def test_every_request_of_a_stranger_reaches_strangers(installation: Installation, tap: Tap, run: str, tmp_path: Path) -> None:
    await installation.stop_worker("worker-1")
    jsmpp = Jsmpp(tmp_path)
    with stock_smtp() as (port, box):
        async with jsmpp.running():
            providers = {
                "INM_ROUTE_SMSC_1_HOSTS": f"127.0.0.1:{jsmpp.port}",
                "INM_SMSC_PASSWORD": "secret",
                "INM_ROUTE_SMTP_1_PORT": str(port),
            }
            await installation.start_worker("worker-9", providers | {"INM_ROUTE_SMSC_1_ID_FORMAT": "hex-to-dec"})
            asked = requests(run)
            lines = [json.dumps(request, ensure_ascii=False) for request in asked.values()]
            await asyncio.to_thread(console_producer, installation.bootstrap, topics.requests("acme"), lines)
            wanted = len(asked) - 1 + FAMILY
            await tap.when(lambda: len(tap.finals()) == wanted, 90, lambda: (len(tap.finals()), wanted, tap.dead))
            await tap.quiet()
            await installation.stop_worker("worker-9")
    assert tap.dead == []
    finals = list(tap.finals().values())
    assert {edr.request_id for edr in finals} == asked.keys()
    assert {(edr.channel, edr.event) for edr in finals} == {("sms", "delivered"), ("email", "submitted")}
    told = jsmpp.texts()
    assert {len(messages) for messages in told.values()} == {1}
    assert {f"+{number}" for number in told} == {edr.to for edr in finals if edr.channel == "sms"}
    for number in range(EACH):
        assert told[f"39350{number:07}"] == [
            f"{number:06} è il tuo codice Acme Mobile, valido 5 minuti. Non comunicarlo a nessuno: non te lo chiederemo mai."
        ]
        assert told[f"39353{number:07}"] == [f"{number:06} — ваш код Acme Mobile, 5 мин. Никому не сообщайте."]
        assert told[f"39356{number:07}"] == [
            "Добро пожаловать! Вы в роуминге: Франция. Звонки 0,19 €/мин, SMS 0,06 €, интернет 3,50 € за ГБ. "
            f"Без доплаты вам доступно ещё 1\xa0{number:03} МБ. Экстренный вызов: 112. Бесплатная поддержка Acme: +39 190 0190."
        ]
    for number in range(FAMILY):
        assert told[f"39357{number:07}"][0].startswith("777777 is your Acme Mobile code")
    mails = {str(mail["To"]): mail for mail in box.mails}
    assert len(mails) == len(box.mails) == EACH
    for number in range(EACH):
        mail = mails[f"olga{number}@customers.example"]
        text, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
        assert text is not None
        assert html is not None
        assert "Ольга Петрова" in text.get_content()
        assert f"2026-{number}" in str(mail["Subject"])
        assert "Flat &lt;100&gt;" in html.get_content()
        assert str(mail["From"]) == "Acme Mobile <billing@acme.example>"
