"""Producers that write nonsense, or very much at once."""

from inm.demo.faults.breaker import Breaker


async def poison(breaker: Breaker) -> None:
    """10 000 records of 30 kinds that are no requests, among the good ones."""
    await breaker.run.send_poison(breaker.many(10_000))


async def crowd(breaker: Breaker) -> None:
    """One request for 5 000 recipients."""
    await breaker.run.send_crowd(5000)
    await breaker.rest(2, 4)
