"""A route's configuration, and the pauses between attempts to connect."""

from typing import Any

import pytest

from inm.channels.email import EmailRoute
from inm.channels.smtp.pool import LONGEST_PAUSE, pause


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"security": "ssl"}, "security is 'ssl', allowed are none, starttls and tls"),
        ({"security": "none", "username": "u", "password": "p"}, "in the clear"),
        ({"username": "u"}, "come together"),
        ({"password": "p"}, "come together"),
        ({"connections": 0}, "connections is 0"),
        ({"submit_timeout": -1}, "submit_timeout is -1"),
    ],
)
def test_a_wrong_route_says_what_is_wrong(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=f"route mail: .*{says}"):
        EmailRoute("mail", "localhost", **values)


def test_the_password_is_not_shown() -> None:
    assert "s3cret" not in repr(EmailRoute("mail", "localhost", username="u", password="s3cret"))


def test_pauses_grow_from_nothing_to_their_limit() -> None:
    assert pause(0) == 0
    assert all(pause(n) <= LONGEST_PAUSE for n in range(200))
    assert all(pause(n + 2) > pause(n) for n in range(1, 6))
    assert pause(100) >= LONGEST_PAUSE / 2
    assert len({pause(5) for _ in range(10)}) > 1
