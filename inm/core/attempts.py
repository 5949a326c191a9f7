"""Attempts to sign in: how many there may be, by name and by address, before somebody has to wait."""

from collections import deque

from inm.core.latest import Latest

WITHIN = 15 * 60 * 1000
"""Milliseconds in which attempts count together."""
BY_NAME = 10
"""Wrong passwords for one account in that time."""
BY_ADDRESS = 30
"""And from one address, whatever the account: a company may have one for all."""
REMEMBERED = 10_000
"""Names and addresses, the latest: guessing at many of them takes no more memory than this."""


class Attempts:
    """Those that went wrong lately. Times in ms since 1970."""

    def __init__(self) -> None:
        self._failed: Latest[str, deque[int]] = Latest(REMEMBERED)

    def wait(self, name: str, address: str, now: int) -> int:
        """Milliseconds until another attempt may be made; 0: now."""
        return max(self._wait(f"name {name}", BY_NAME, now), self._wait(f"address {address}", BY_ADDRESS, now))

    def failed(self, name: str, address: str, now: int) -> None:
        """Count an attempt. Before its password is looked at: a hundred at a time are a hundred."""
        for key in (f"name {name}", f"address {address}"):
            times = self._failed.get(key) or deque(maxlen=BY_ADDRESS)
            times.append(now)
            self._failed.put(key, times)

    def succeeded(self, name: str, address: str) -> None:
        """It was the right password: of the account nothing counts any more, of the address this attempt does not."""
        self._failed.pop(f"name {name}")
        others = self._failed.get(f"address {address}")
        if others:
            others.pop()

    def _wait(self, key: str, most: int, now: int) -> int:
        times = self._failed.get(key) or deque()
        while times and times[0] <= now - WITHIN:
            times.popleft()
        return times[-most] + WITHIN - now if len(times) >= most else 0
