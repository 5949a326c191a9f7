"""An installation with a third tenant, ``lab``, whose scenarios go wrong in every way within seconds."""

import os
import shutil
from datetime import UTC, datetime, timedelta

from inm.demo.installation import CONFIG, Installation
from inm.demo.smsc import Smsc
from inm.demo.smsc.pdus import Part
from tests.support.plugin import install

DOCUMENTS = {
    "tenant": """
kind: tenant
name: lab
title: Lab
language: en
timezone: UTC
routes: {sms: smsc-1, email: smtp-1, rest: inbox-1}
networks: [127.0.0.1]""",
    "by-sms": "{kind: sender, tenant: lab, name: by-sms, channel: sms, address: Lab}",
    "by-mail": "{kind: sender, tenant: lab, name: by-mail, channel: email, address: lab@lab.example}",
    "by-rest": "{kind: sender, tenant: lab, name: by-rest, channel: rest, address: Lab}",
    "text": "{kind: template, tenant: lab, name: text, channel: sms, variants: {en: {text: '{{ text }}'}}}",
    "sum": "{kind: template, tenant: lab, name: sum, channel: sms, variants: {en: {text: '{{ 1 // divisor }}'}}}",
    "mail": "{kind: template, tenant: lab, name: mail, channel: email, variants: {en: {subject: '{{ text }}', text: '{{ text }}'}}}",
    # a step's time is over soon, and what nobody knows is waited for
    "patient": """
kind: scenario
tenant: lab
name: patient
validity: 60
on_unknown: wait-for-receipt
plan: [{channel: sms, template: text, sender: by-sms, after: 15}]""",
    "insistent": """
kind: scenario
tenant: lab
name: insistent
validity: 60
on_unknown: resend
plan: [{channel: sms, template: text, sender: by-sms, after: 50}]""",
    "brief": """
kind: scenario
tenant: lab
name: brief
validity: 60
max_parts: 1
plan: [{channel: sms, template: text, sender: by-sms, after: 3}]""",
    "sum-up": """
kind: scenario
tenant: lab
name: sum-up
validity: 60
plan: [{channel: sms, template: sum, sender: by-sms, after: 30}]""",
    "mail-then-sms": """
kind: scenario
tenant: lab
name: mail-then-sms
validity: 60
plan:
  - {channel: email, template: mail, sender: by-mail, until: submitted, after: 8}
  - {channel: sms, template: text, sender: by-sms, after: 30}""",
    "mail-only": """
kind: scenario
tenant: lab
name: mail-only
validity: 60
plan: [{channel: email, template: mail, sender: by-mail, until: submitted, after: 50}]""",
    # first by HTTP
    "note": """
kind: template
tenant: lab
name: note
channel: rest
variants: {en: {title: Note, text: '{{ text }}', data: {screen: home}}}""",
    "shown": """
kind: scenario
tenant: lab
name: shown
validity: 60
plan:
  - {channel: rest, template: note, sender: by-rest, after: 40}
  - {channel: sms, template: text, sender: by-sms, after: 15}""",
    "shown-soon": """
kind: scenario
tenant: lab
name: shown-soon
validity: 60
plan:
  - {channel: rest, template: note, sender: by-rest, after: 2}
  - {channel: sms, template: text, sender: by-sms, after: 50}""",
    # until it is read, two at once, and not before a window opens
    "page": """
kind: template
tenant: lab
name: page
channel: email
variants: {en: {subject: '{{ text }}', html: '<p>{{ text }} <a href="https://lab.example/pay?a=1&amp;b=2">pay</a></p>'}}""",
    "read-me": """
kind: scenario
tenant: lab
name: read-me
validity: 60
plan:
  - {channel: email, template: page, sender: by-mail, until: read, after: 5}
  - {channel: sms, template: text, sender: by-sms, after: 30}""",
    "at-once": """
kind: plan
tenant: lab
name: at-once
steps:
  - {channel: sms, template: text, sender: by-sms, after: 30}
  - {channel: email, template: mail, sender: by-mail, after: 30, parallel: true}""",
    "both": "{kind: scenario, tenant: lab, name: both, validity: 60, plan: at-once}",
    "sms-then-mail": """
kind: scenario
tenant: lab
name: sms-then-mail
validity: 120
plan:
  - {channel: sms, template: text, sender: by-sms, after: 2}
  - {channel: email, template: mail, sender: by-mail, after: 60}""",
    "tomorrow": """
kind: scenario
tenant: lab
name: tomorrow
validity: 259200
window: once-a-week
urgent_anytime: true
plan: [{channel: sms, template: text, sender: by-sms, after: 30}]""",
    "once-a-week": f"""
kind: window
tenant: lab
name: once-a-week
open: [{{days: [{datetime.now(UTC) + timedelta(days=2):%a}], from: "00:00", to: "24:00"}}]""".lower(),
    # who decides: a rule by role, a plug-in, the user
    "to-master": "{kind: template, tenant: lab, name: to-master, channel: sms, variants: {en: {text: 'master: {{ text }}'}}}",
    "points": "{kind: template, tenant: lab, name: points, channel: sms, variants: {en: {text: '{{ text }}: {{ points }} points'}}}",
    "family": """
kind: scenario
tenant: lab
name: family
validity: 60
rules: [{name: master, when: request.role == 'master', template: to-master}]
plan: [{channel: sms, template: text, sender: by-sms, after: 50}]""",
    "purchase": """
kind: scenario
tenant: lab
name: purchase
validity: 60
enrich: {name: points, limit: 100}
plan: [{channel: sms, template: points, sender: by-sms, after: 50}]""",
    "everywhere": """
kind: scenario
tenant: lab
name: everywhere
validity: 60
destinations: all
plan: [{channel: sms, template: text, sender: by-sms, after: 50}]""",
}


DOCUMENTS |= {
    # a brand with several routes, of which one leads nowhere, and with a cap for its recipients
    "duo-tenant": """
kind: tenant
name: duo
title: Duo
language: en
timezone: UTC
routes: {sms: [smsc-1, smsc-gone]}
cap: {most: 2, within: 4, digest: news}""",
    "duo-by-sms": "{kind: sender, tenant: duo, name: by-sms, channel: sms, address: Duo}",
    "duo-text": "{kind: template, tenant: duo, name: text, channel: sms, variants: {en: {text: '{{ text }}'}}}",
    "duo-news-text": """
kind: template
tenant: duo
name: news-text
channel: sms
variants:
  en:
    text: "{{ count }} more: {% for item in items %}{{ item.title }} {{ item.fields.text }}. {% endfor %}"
""",
    "duo-news": """
kind: scenario
tenant: duo
name: news
validity: 60
plan: [{channel: sms, template: news-text, sender: by-sms, after: 50}]""",
    "duo-offer": """
kind: scenario
tenant: duo
name: offer
title: Offer
validity: 60
plan: [{channel: sms, template: text, sender: by-sms, after: 50}]""",
    # by a route that may be used less than its load asks for
    "mass": """
kind: scenario
tenant: lab
name: mass
validity: 600
plan: [{channel: sms, template: text, sender: by-sms, after: 600, route: smsc-slow}]""",
}

RATE = 100
"""Parts a second of the route ``smsc-slow``."""
ROUTES = """
  smsc-slow:
    channel: sms
    hosts: [127.0.0.1:2775]
    system_id: inm-slow
    password_env: INM_SMSC_PASSWORD
    rate: 100.0
  smsc-gone:
    channel: sms
    hosts: [127.0.0.1:1]
    system_id: inm
    password_env: INM_SMSC_PASSWORD
    patience: 0.2
"""

LINKS = "http://links.lab.example"
"""What its letters call the door of a worker."""

OPTIONS = {
    "sms": "submit_timeout: 1.5\n    id_format: as-is",
    "email": "command_timeout: 1.5\n    submit_timeout: 4",
    "rest": "submit_timeout: 1.5",
}
"""Of its routes, by channel: silence is noticed within seconds."""


class Lab(Installation):
    """See above."""

    def __init__(self) -> None:
        super().__init__()
        self.config = self.folder / "config"
        shutil.copytree(CONFIG, self.config)
        tenant = self.config / "tenants" / "lab"
        tenant.mkdir()
        for name, text in DOCUMENTS.items():
            (tenant / f"{name}.yaml").write_text(text)
        settings = self.config / "inm.yaml"
        text = settings.read_text()
        for channel, options in OPTIONS.items():
            text = text.replace(f"channel: {channel}\n", f"channel: {channel}\n    {options}\n")
        settings.write_text(text.replace("\nroutes:\n", f"\nroutes:{ROUTES}"))

        self.live_key, self.test_key = (f"inm_{kind}_lab_{'k' * 40}" for kind in ("live", "test"))
        self._plugins = self.folder / "plugins"
        install(self._plugins)

        # An SMSC sends receipts over any bind of an account: with one account for two routes, some would come by the wrong one.
        self.slow = Smsc(password=self.smsc.account[1])
        self.slow.take = self._take_slowly  # type: ignore[method-assign]

    def _take_slowly(self, part: Part) -> int:
        """Into the books of the other one, whoever keeps them at the moment."""
        return self.smsc.take(part)

    async def __aenter__(self) -> Installation:
        await self.slow.start()
        self._running.push_async_callback(self.slow.stop)
        return await super().__aenter__()

    def environment(self) -> dict[str, str]:
        usual = super().environment()
        path = os.pathsep.join(filter(None, (str(self._plugins), os.environ.get("PYTHONPATH"))))
        keys = f"{usual['INM_API_KEYS']},lab={self.live_key},lab={self.test_key}"
        own = {
            "INM_ROUTE_SMSC_SLOW_HOSTS": f"127.0.0.1:{self.slow.port}",
            "INM_CONFIG": str(self.config),
            "INM_API_KEYS": keys,
            "PYTHONPATH": path,
            "LAB_CALLBACK_SECRET": self.inbox.secret,
            "INM_LINKS_URL": LINKS,
            "INM_LINK_KEY": "k" * 32,
        }
        return usual | own
