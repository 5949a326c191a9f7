"""How things are shown: each state by an icon, a word and a colour, never by one of them alone."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from inm.console.texts import mark as _
from inm.core.flow import Code
from inm.core.grounds import UserState
from inm.core.magic import Fate
from inm.core.roles import Right

Tone = Literal["good", "busy", "idle", "warn", "bad"]


class Badge(NamedTuple):
    """An icon (a character), its colour, and the word."""

    icon: str
    tone: Tone
    word: str


BADGES: Mapping[str, Badge] = {
    # notifications
    "decided": Badge("○", "busy", _("decided")),
    "scheduled": Badge("◷", "idle", _("scheduled")),
    "held": Badge("◷", "idle", _("held")),
    "accepted": Badge("○", "busy", _("accepted")),
    "step": Badge("→", "busy", _("next step")),
    "retried": Badge("↻", "busy", _("retried")),
    "unknown": Badge("?", "warn", _("unknown")),
    "submitted": Badge("➤", "busy", _("submitted")),
    "expired": Badge("⊗", "bad", _("expired")),
    "failed": Badge("✕", "bad", _("failed")),
    "suppressed": Badge("⊘", "idle", _("suppressed")),
    "cancelled": Badge("⊘", "idle", _("cancelled")),
    "expanded": Badge("⇉", "idle", _("expanded")),
    "delivered": Badge("✓", "good", _("delivered")),
    "read": Badge("✓", "good", _("read")),
    "answer": Badge("•", "idle", _("answer")),
    "part": Badge("•", "idle", _("one part")),
    "receipt": Badge("•", "idle", _("receipt")),
    "cancel": Badge("•", "idle", _("calling back")),
    "open": Badge("○", "busy", _("open")),
    "overdue": Badge("!", "bad", _("overdue")),
    # versions of templates
    "draft": Badge("✎", "idle", _("draft")),
    "waiting": Badge("◷", "busy", _("submitted for review")),
    "approved": Badge("✓", "good", _("approved")),
    "rejected": Badge("✕", "bad", _("rejected")),
    # routes and workers
    "well": Badge("✓", "good", _("well")),
    "ailing": Badge("!", "warn", _("ailing")),
    "sick": Badge("✕", "bad", _("sick")),
    "out": Badge("⊘", "warn", _("put out")),
    "ready": Badge("✓", "good", _("ready")),
    "not ready": Badge("◷", "warn", _("not ready")),
    "no answer": Badge("✕", "bad", _("does not answer")),
    # campaigns
    "loading": Badge("◷", "busy", _("audience being read")),
    "running": Badge("▶", "busy", _("running")),
    "paused": Badge("❚❚", "warn", _("paused")),
    "done": Badge("✓", "good", _("all released")),
    # user data
    "fresh": Badge("✓", "good", _("fresh")),
    "stale": Badge("◷", "warn", _("past its time")),
    "absent": Badge("⊘", "idle", _("not known to the source")),
    # dead letters
    "dropped": Badge("⊘", "idle", _("dropped")),
    # accounts
    "enabled": Badge("✓", "good", _("enabled")),
    "disabled": Badge("⊘", "idle", _("disabled")),
}
"""By the name that the state has in the code."""


def badge(state: str) -> Badge:
    """How a state is shown; one that has no entry by its own name."""
    return BADGES.get(state, Badge("•", "idle", state))


MEANING: Mapping[Right, str] = {
    "see": _("see every page of the tenant, with addresses masked"),
    "write": _("write templates and scenarios, submit them, try them out"),
    "review": _("approve and reject what others wrote"),
    "operate": _("cancel and resend notifications, run campaigns, repair dead letters, have users loaded anew"),
    "unmask": _("see addresses and user data in full; each time is recorded"),
    "audit": _("read the audit trail"),
    "accounts": _("create accounts, give and take roles, set passwords"),
}
"""What the rights are, in words."""

KNOWLEDGE: Mapping[UserState, str] = {
    "none": _("none were there"),
    "unknown": _("the source knows no such user"),
    "fresh": _("were there"),
    "stale": _("were there, past their time"),
    "loaded": _("were fetched for it"),
}
"""What was known of the user when something was decided."""

FATES: Mapping[Fate, str] = {
    "delivered": _("is delivered within a second"),
    "permanent": _("is refused for good"),
    "temporary": _("is refused at first, and delivered by the second attempt"),
    "late": _("is delivered after its time is over"),
    "never": _("is accepted, and never heard of again"),
}
"""What becomes of a test to a magic address."""

ENCODINGS: Mapping[str, str] = {"gsm7": "GSM-7", "ucs2": "UCS-2"}
"""Encodings of short messages, as people who work with them write them."""

ALARMS: Mapping[Code, str] = {
    "not-ready": _("Worker %(what)s has not got its partitions or the documents yet."),
    "no-answer": _("Partitions %(what)s are on no worker that answers."),
    "slow-lane": _("In the lane %(what)s something has waited for %(detail)s s."),
    "route-out": _("Route %(what)s was put out: %(detail)s"),
    "route-sick": _("Route %(what)s is sick: %(detail)s"),
    "route-ailing": _("Route %(what)s is ailing: %(detail)s"),
    "overdue": _("%(what)s notifications have not ended although their last deadline has passed."),
    "dead": _("%(what)s records came to the dead letters in the last ten minutes."),
    "suspended": _("Nothing is posted to the endpoint %(what)s any more."),
    "source": _("The source of user data does not answer."),
    "documents": _("Worker %(what)s has not heard of the documents for %(detail)s s."),
}
"""What is wrong, in a sentence."""

DEEDS: Mapping[str, str] = {
    "created": _("created"),
    "configured": _("changed"),
    "deleted": _("deleted"),
    "submitted": _("submitted for review"),
    "withdrawn": _("withdrawn from review"),
    "approved": _("approved"),
    "rejected": _("rejected"),
    "signed-in": _("signed in"),
    "sign-in-refused": _("sign-in refused"),
    "signed-out": _("signed out"),
    "unmasked": _("saw personal data"),
    "cancelled": _("called back"),
    "resent": _("sent again"),
    "tested": _("sent as a test"),
    "invalidated": _("user forgotten"),
    "campaign-created": _("campaign made"),
    "campaign-started": _("campaign started"),
    "campaign-paused": _("campaign paused"),
    "campaign-resumed": _("campaign resumed"),
    "campaign-cancelled": _("campaign cancelled"),
    "campaign-paced": _("pace of a campaign changed"),
    "retried": _("dead letter sent back"),
    "dropped": _("dead letter dropped"),
    "route-out": _("route put out"),
    "route-in": _("route put back"),
}
"""What the audit trail records, in words."""
