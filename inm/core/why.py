"""Why: the grounds of a decision told to people and programs."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct

from inm.core.grounds import Called, Grounds, UserState


class RejectedTold(Struct, frozen=True, omit_defaults=True):
    """A step that was not taken."""

    step: Annotated[int, Meta(description="From 1; those that an algorithm left out come behind those it chose.")]
    channel: str
    reason: Annotated[str, Meta(description="From the documented list of reasons.")]
    detail: str = ""


class AlgorithmTold(Struct, frozen=True, omit_defaults=True):
    """One call of a plug-in."""

    name: str
    hook: Annotated[str, Meta(description="choose or enrich.")]
    result: Annotated[
        Called,
        Meta(
            description="used; failed (it raised, or answered nonsense); late; busy (with an earlier call); resting (left out for a while, "
            "since it was late too often); missing (not installed)."
        ),
    ]
    detail: str = ""


class DecisionTold(Struct, frozen=True, omit_defaults=True):
    """What a decision rests on. Names and reasons, no values."""

    step: Annotated[int, Meta(description="The step from which it was decided.")]
    user: Annotated[
        UserState,
        Meta(description="What was known of the user: none, unknown (to the source), fresh, stale (past its time), loaded (for this)."),
    ]
    revision: Annotated[int, Meta(description="Revision of the scenario.")] = 0
    rules: Annotated[int, Meta(description="How many rules the scenario has.")] = 0
    rule: Annotated[int | None, Meta(description="The first that held, from 1; absent if none did.")] = None
    rule_name: str = ""
    misses: Annotated[list[str], Meta(description="Rules that could not be told and values that could not be used, and why.")] = []
    rejected: list[RejectedTold] = []
    algorithms: list[AlgorithmTold] = []
    language: Annotated[str | None, Meta(description="What was asked for.")] = None
    tone: Annotated[str | None, Meta(description="What was asked for.")] = None
    preferred: Annotated[str | None, Meta(description="The user's channel, if its steps were tried first.")] = None
    request_fields: Annotated[list[str], Meta(description="Fields that the request brought, defaults among them.")] = []
    user_fields: Annotated[list[str], Meta(description="Fields that the user data had.")] = []


def tell(grounds: Grounds) -> DecisionTold:
    """The grounds as they are shown."""
    return DecisionTold(
        step=grounds.step,
        user=grounds.user,
        revision=grounds.revision,
        rules=grounds.rules,
        rule=grounds.rule,
        rule_name=grounds.rule_name,
        misses=grounds.misses,
        rejected=[RejectedTold(skip.step, skip.channel, skip.reason, skip.detail) for skip in grounds.skipped],
        algorithms=[AlgorithmTold(report.name, report.hook, report.result, report.detail) for report in grounds.reports],
        language=grounds.language,
        tone=grounds.tone,
        preferred=grounds.preferred,
        request_fields=grounds.request_fields,
        user_fields=grounds.user_fields,
    )


_USER: dict[UserState, str] = {
    "none": "no user data were there",
    "unknown": "the source of user data knows no such user",
    "fresh": "user data were there",
    "stale": "user data were there, past their time",
    "loaded": "user data were fetched for it",
}
_ALGORITHM: dict[Called, str] = {
    "used": "had its say",
    "failed": "failed, and had no say",
    "late": "was late, and had no say",
    "busy": "was not done with an earlier call, and had no say",
    "resting": "was late too often, and was not asked",
    "missing": "is not installed",
}


def lines(told: DecisionTold) -> Iterator[str]:
    """The decision in sentences, for support."""
    yield f"why, from step {told.step} on: by revision {told.revision} of the scenario"
    yield f"  {_USER[told.user]}{_names(told.user_fields)}; the request brought{_names(told.request_fields) or ' no fields'}"
    asked = [word for word in (told.language, f"tone {told.tone}" if told.tone else None) if word]
    if asked:
        yield f"  asked for: {', '.join(asked)}"
    if told.rules:
        yield f"  {_rule(told)}"
    for miss in told.misses:
        yield f"    {miss}"
    if told.preferred:
        yield f"  {told.preferred} first, since the user prefers it"
    for algorithm in told.algorithms:
        detail = f": {algorithm.detail}" if algorithm.detail else ""
        yield f"  algorithm {algorithm.name} ({algorithm.hook}) {_ALGORITHM[algorithm.result]}{detail}"
    for rejected in told.rejected:
        yield f"  not step {rejected.step} ({rejected.channel}): {rejected.reason}, {rejected.detail}"


def _names(fields: list[str]) -> str:
    return f" ({', '.join(fields)})" if fields else ""


def _rule(told: DecisionTold) -> str:
    if told.rule is None:
        return f"none of its {told.rules} rules held"
    name = f" “{told.rule_name}”" if told.rule_name else ""
    return f"rule {told.rule}{name} of {told.rules} was the first that held"
