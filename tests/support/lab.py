"""An installation with a third tenant, ``lab``, whose scenarios go wrong in every way within seconds."""

import shutil

from inm.demo.installation import CONFIG, Installation

DOCUMENTS = {
    "tenant": "{kind: tenant, name: lab, title: Lab, language: en, timezone: UTC, routes: {sms: smsc-1, email: smtp-1}}",
    "text": "{kind: template, name: text, version: 1, channel: sms, variants: {en: {text: '{{ text }}'}}}",
    "sum": "{kind: template, name: sum, version: 1, channel: sms, variants: {en: {text: '{{ 1 // divisor }}'}}}",
    "mail": "{kind: template, name: mail, version: 1, channel: email, variants: {en: {subject: '{{ text }}', text: '{{ text }}'}}}",
    # a step's time is over soon, and what nobody knows is waited for
    "patient": """
kind: scenario
name: patient
validity: 60
on_unknown: wait-for-receipt
plan: [{channel: sms, template: text, sender: Lab, after: 15}]""",
    "insistent": """
kind: scenario
name: insistent
validity: 60
on_unknown: resend
plan: [{channel: sms, template: text, sender: Lab, after: 50}]""",
    "brief": """
kind: scenario
name: brief
validity: 60
max_parts: 1
plan: [{channel: sms, template: text, sender: Lab, after: 3}]""",
    "sum-up": """
kind: scenario
name: sum-up
validity: 60
plan: [{channel: sms, template: sum, sender: Lab, after: 30}]""",
    "mail-then-sms": """
kind: scenario
name: mail-then-sms
validity: 60
plan:
  - {channel: email, template: mail, sender: lab@lab.example, until: submitted, after: 8}
  - {channel: sms, template: text, sender: Lab, after: 30}""",
    "mail-only": """
kind: scenario
name: mail-only
validity: 60
plan: [{channel: email, template: mail, sender: lab@lab.example, until: submitted, after: 50}]""",
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

    def environment(self) -> dict[str, str]:
        return super().environment() | {"INM_CONFIG": str(self.config)}
