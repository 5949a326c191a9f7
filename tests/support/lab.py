"""An installation with a third tenant, ``lab``, whose scenarios go wrong in every way within seconds."""

import os
import shutil

from inm.demo.installation import CONFIG, Installation
from tests.support.plugin import install

DOCUMENTS = {
    "tenant": "{kind: tenant, name: lab, title: Lab, language: en, timezone: UTC, routes: {sms: smsc-1, email: smtp-1}}",
    "by-sms": "{kind: sender, tenant: lab, name: by-sms, channel: sms, address: Lab}",
    "by-mail": "{kind: sender, tenant: lab, name: by-mail, channel: email, address: lab@lab.example}",
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


OPTIONS = {"sms": "submit_timeout: 1.5\n    id_format: as-is", "email": "command_timeout: 1.5\n    submit_timeout: 4"}
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
        settings.write_text(text)

        self.live_key, self.test_key = (f"inm_{kind}_lab_{'k' * 40}" for kind in ("live", "test"))
        self._plugins = self.folder / "plugins"
        install(self._plugins)

    def environment(self) -> dict[str, str]:
        usual = super().environment()
        path = os.pathsep.join(filter(None, (str(self._plugins), os.environ.get("PYTHONPATH"))))
        keys = f"{usual['INM_API_KEYS']},lab={self.live_key},lab={self.test_key}"
        return usual | {"INM_CONFIG": str(self.config), "INM_API_KEYS": keys, "PYTHONPATH": path}
