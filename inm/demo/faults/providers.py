"""Providers that are away, silent, slow, or repeat themselves."""

from inm.demo.faults.breaker import Breaker
from inm.demo.smsc import Behaviour, Verdict


async def smsc_down(breaker: Breaker) -> None:
    """The SMSC is away and comes back on the same port."""
    await breaker.installation.smsc.leave()
    await breaker.rest(3, 10)
    await breaker.installation.smsc.start()


async def smsc_silent(breaker: Breaker) -> None:
    """The SMSC takes parts and does not answer."""
    await _behave(breaker, decide=lambda _: Verdict(fault="silence"))


async def smsc_hangs_up(breaker: Breaker) -> None:
    """The SMSC breaks its connections, again and again."""
    for _ in range(5):
        breaker.installation.smsc.drop()
        await breaker.rest(0.2, 1)


async def smsc_throttles(breaker: Breaker) -> None:
    """The SMSC says 30 % of the time that it is too much."""
    await _behave(breaker, errors={0x58: 0.3})


async def smsc_slow(breaker: Breaker) -> None:
    """The SMSC takes less than comes."""
    await _behave(breaker, rate=100)


async def smsc_fails(breaker: Breaker) -> None:
    """5 % temporary and 2 % permanent errors."""
    await _behave(breaker, errors={0x08: 0.05, 0x0B: 0.02})


async def early_receipts(breaker: Breaker) -> None:
    """Receipts come before the answers."""
    await _behave(breaker, receipt_before_answer=True)


async def double_receipts(breaker: Breaker) -> None:
    """Each receipt comes twice, and later ones before earlier ones."""
    await _behave(breaker, receipt_copies=2, receipt_jitter=3.0)


async def smtp_busy(breaker: Breaker) -> None:
    """The mail server greets with 421."""
    await _mail(breaker, "greeting", "421 4.3.2 come back later")


async def smtp_hangs(breaker: Breaker) -> None:
    """The mail server says nothing after the message."""
    await _mail(breaker, "hang", "end")


async def smtp_refuses(breaker: Breaker) -> None:
    """The mail server refuses after DATA, for now."""
    await _mail(breaker, "refuse_content", lambda _: "451 4.3.0 not now")


async def _behave(breaker: Breaker, **changes: object) -> None:
    smsc = breaker.installation.smsc
    usual = smsc.behaviour
    smsc.behaviour = Behaviour(**(vars(usual) | changes))
    await breaker.rest(3, 8)
    smsc.behaviour = usual


async def _mail(breaker: Breaker, name: str, value: object) -> None:
    behaviour = breaker.installation.smtp.behaviour
    usual = getattr(behaviour, name)
    setattr(behaviour, name, value)
    await breaker.rest(3, 8)
    setattr(behaviour, name, usual)
