"""The two ends of a dead letter: its record is sent back, or it is dropped."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
from aiokafka.errors import KafkaError

from inm import topics
from inm.core import deadletters
from inm.core.catalogue import Catalogue
from inm.core.deadletters import Closing, DeadLetterError, Letter, Resend
from inm.core.deadpages import Owners
from inm.core.masking import Mask
from inm.core.requests import InvalidRequestError, expand, parse
from inm.streaming.chunks import now_ms
from inm.web.letterbox import Letterbox

OWNERS = Owners(topics.requests(""), topics.COPARTITIONED - {topics.RECEIPTS} | {topics.EDR, topics.CALLBACKS}, topics.RECEIPTS)
SHOWN = 3
"""Ids of notifications that a dry run names for a letter."""


class Ended(NamedTuple):
    """What became of a letter, in words, and whether it is what was asked for."""

    id: int
    words: str
    done: bool = True


class Ending(Protocol):
    """What is done to letters that are to be closed."""

    async def end(self, box: Letterbox, letters: Sequence[Letter], *, dry_run: bool) -> list[Ended]:
        """Do it to these. ``KafkaError`` if it was done, but could not be written down: it is done again the next time."""


class Drop:
    """Nothing but a note that it is closed."""

    def __init__(self, by: str, why: str) -> None:
        self._by = by
        self._why = why

    async def end(self, box: Letterbox, letters: Sequence[Letter], *, dry_run: bool) -> list[Ended]:
        if dry_run:
            return [Ended(letter.id, "would be dropped") for letter in letters]
        ended: list[Ended] = []
        closings = []
        for known in letters:
            try:
                letter = await _whole(box, known)
            except DeadLetterError as error:
                ended.append(Ended(known.id, _words(error), False))
                continue
            closings.append(await box.close(Closing(letter.id, "dropped", now_ms(), self._by, self._why), OWNERS.tenant(letter)))
            ended.append(Ended(letter.id, "dropped"))
        await _written(closings)
        return ended


class Retry:
    """The record goes back; when the broker has it, the letter is closed."""

    def __init__(self, partitions: int, catalogue: Catalogue, by: str, why: str | None, mended: bytes | None) -> None:
        self._partitions = partitions
        self._catalogue = catalogue
        self._by = by
        self._why = why
        self._mended = mended

    async def end(self, box: Letterbox, letters: Sequence[Letter], *, dry_run: bool) -> list[Ended]:
        ended: list[Ended] = []
        sent: list[tuple[Letter, asyncio.Future[Any]]] = []
        for known in letters:
            try:
                letter = await _whole(box, known)
                resend = await self._resend(box, letter)
                if dry_run:
                    ended.append(Ended(known.id, self._forecast(resend)))
                else:
                    sent.append((letter, await box.send(resend)))
            except (DeadLetterError, KafkaError) as error:
                ended.append(Ended(known.id, _words(error), False))
        closings = []
        for letter, acked in sent:
            try:
                at = await acked
            except KafkaError as error:
                ended.append(Ended(letter.id, _words(error), False))
                continue
            where = f"{at.topic}/{at.partition}/{at.offset}"
            closings.append(await box.close(Closing(letter.id, "retried", now_ms(), self._by, self._why, where), OWNERS.tenant(letter)))
            ended.append(Ended(letter.id, f"retried: {where}"))
        await _written(closings)
        return ended

    async def _resend(self, box: Letterbox, letter: Letter) -> Resend:
        record = await box.original(letter, self._mended)
        resend = deadletters.resend(letter, record, request=_is_request(letter.dead.topic))
        if self._mended is not None:
            self._check(resend)
        return resend

    def _check(self, resend: Resend) -> None:
        """``DeadLetterError`` if what was mended is known to be refused again."""
        value = resend.value or b""
        try:
            if _is_request(resend.topic):
                self._notifications(resend)
            else:
                msgspec.json.decode(value)
        except InvalidRequestError as error:
            raise DeadLetterError(f"the mended request is refused: {_refusal(error, value)}") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DeadLetterError(f"the mended record is no JSON: {error}") from error

    def _forecast(self, resend: Resend) -> str:
        words = f"would go to {resend.topic}"
        if not _is_request(resend.topic):
            return words
        try:
            ids = self._notifications(resend)
        except InvalidRequestError as error:
            return f"{words} and be refused again: {_refusal(error, resend.value or b'')}"
        more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
        return f"{words} as {', '.join(ids[:SHOWN])}{more}"

    def _notifications(self, resend: Resend) -> list[str]:
        """The ids that the request's notifications will have. ``InvalidRequestError`` if it is none, by the configuration here."""
        tenant = topics.tenant_of(resend.topic)
        headers = {name.lower(): value for name, value in resend.headers}
        request = parse(resend.value or b"", tenant, self._catalogue, headers=headers)
        return [notification.id for notification in expand(request, tenant, "", now_ms(), self._partitions)]


def _is_request(topic: str) -> bool:
    return topic.startswith(topics.requests(""))


def _refusal(error: InvalidRequestError, value: bytes) -> str:
    return Mask(value).words(str(error))


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, DeadLetterError) else repr(error)


async def _whole(box: Letterbox, known: Letter) -> Letter:
    """The letter with what it holds. ``DeadLetterError`` if there is none any more."""
    letter = await box.letter(known.id)
    if letter is None:
        raise DeadLetterError(f"{topics.DEAD} does not keep it any more")
    return letter


async def _written(acks: Sequence["asyncio.Future[Any]"]) -> None:
    """Until all have been answered; then raise what any was refused with."""
    for answer in await asyncio.gather(*acks, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer
