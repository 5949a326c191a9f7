"""A delivery as an Internet message, held against the stdlib's parser."""

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inm.channels.smtp.message import Mail, UnsendableError, compose
from inm.core.records import Content, Delivery
from inm.core.results import Result


def delivery(
    content: Content | None = None, *, to: str = "bob@example.org", sender: str = "INM <no-reply@example.com>", attempt: int = 1
) -> Delivery:
    return Delivery(
        id=f"3-abcdefghijklmnopqrstuvwxyz.1.{attempt}",
        notification="3-abcdefghijklmnopqrstuvwxyz",
        key="acme/7",
        tenant="acme",
        scenario="invoice",
        channel="email",
        lane="normal",
        route="mail",
        to=to,
        sender=sender,
        content=content or Content("Hello\n", subject="Greetings"),
        template="invoice",
        version=1,
        language="en",
        step=1,
        attempt=attempt,
        decided=1_700_000_000_123,
        expires=1_800_000_000_000,
    )


def parsed(mail: Mail) -> EmailMessage:
    message = message_from_bytes(mail.octets, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not [part.defects for part in message.walk() if part.defects]
    return message


def ended(text: str) -> str:
    """The text as it is read: one kind of line end, and one at the end."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if text.endswith("\n") else text + "\n"


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


SUBJECTS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=200).filter(lambda text: text == text.strip())
BODIES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3000)


@given(SUBJECTS, BODIES, st.none() | BODIES)
def test_what_is_written_is_what_is_read(subject: str, text: str, html: str | None) -> None:
    mail = compose(delivery(Content(text, subject=subject, html=html)))
    message = parsed(mail)
    assert message["Subject"] == subject
    assert body(message, "plain") == ended(text)
    if html is not None:
        assert message.get_content_type() == "multipart/alternative"
        assert body(message, "html") == ended(html)


@given(SUBJECTS, BODIES, st.none() | BODIES)
def test_octets_are_fit_for_any_server(subject: str, text: str, html: str | None) -> None:
    octets = compose(delivery(Content(text, subject=subject, html=html))).octets
    assert octets.isascii()
    assert octets.endswith(b"\r\n")
    assert b"\0" not in octets
    assert b"\r" not in octets.replace(b"\r\n", b"")
    assert b"\n" not in octets.replace(b"\r\n", b"")
    assert max(map(len, octets.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Счёт за ноябрь: 1 234,56 ₽ к оплате до 15 декабря, подробности внутри", "Уважаемый клиент,\n- спасибо!\n"),
        ("È arrivata la bolletta di novembre perché l'hai chiesta così", "Gentile cliente,\nla bolletta è pronta: 12,50 €.\n"),
        ("=?utf-8?q?not_an_encoded_word?=", "--=_3-abcdefghijklmnopqrstuvwxyz.1.1\n--=_3-abcdefghijklmnopqrstuvwxyz.1.1--\n"),
        ("Dots", ".\n..\n.leading\n"),
        ("A long line", "x" * 5000 + "\n"),
    ],
)
def test_known_troubles_survive(subject: str, text: str) -> None:
    message = parsed(compose(delivery(Content(text, subject=subject, html=f"<p>{text}</p>"))))
    assert message["Subject"] == subject
    assert body(message, "plain") == ended(text)
    assert body(message, "html") == ended(f"<p>{text}</p>")


def test_headers() -> None:
    message = parsed(compose(delivery(sender="Société Énergie, Paris <avis@example.com>")))
    assert message["From"].addresses[0].display_name == "Société Énergie, Paris"
    assert message["From"].addresses[0].addr_spec == "avis@example.com"
    assert message["To"] == "bob@example.org"
    assert message["Message-ID"] == "<3-abcdefghijklmnopqrstuvwxyz.1.1@example.com>"
    assert message["Date"].datetime.timestamp() == 1_700_000_000
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["MIME-Version"] == "1.0"


def test_a_resend_is_the_same_message_and_another_attempt_is_not() -> None:
    assert compose(delivery()) == compose(delivery())
    assert compose(delivery()).message_id != compose(delivery(attempt=2)).message_id


@pytest.mark.parametrize("character", ["\0", "\r", "\n", "\r\n", "\x0b", "\x1b", "\x7f", "\x85", "\u2028", "\ud800"])
@pytest.mark.parametrize("place", ["subject", "sender", "to"])
def test_nothing_can_be_injected_into_a_header(place: str, character: str) -> None:
    evil = f"x{character}Bcc: eve@example.net"
    cases = {
        "subject": delivery(Content("Hello", subject=evil)),
        "sender": delivery(sender=f"{evil} <no-reply@example.com>"),
        "to": delivery(to=f"bob{character}@example.org"),
    }
    with pytest.raises(UnsendableError) as caught:
        compose(cases[place])
    assert caught.value.answer.result is (Result.INVALID_ADDRESS if place == "to" else Result.PERMANENT)


@pytest.mark.parametrize("text", ["a\0b", "half a pair \ud83d"])
@pytest.mark.parametrize("kind", ["text", "html"])
def test_what_no_body_can_hold_is_refused(kind: str, text: str) -> None:
    content = Content(text, subject="s") if kind == "text" else Content("t", subject="s", html=text)
    with pytest.raises(UnsendableError) as caught:
        compose(delivery(content))
    assert caught.value.answer.result is Result.PERMANENT


NO_ADDRESSES = """
bob
@example.org
bob@
a b@example.org
bob@exa mple.org
<bob@example.org>
bob>@example.org
bob@example.org> SIZE=1
a@b@example.org
bob@-.org
"q"@example.org
bob@[127.0.0.1]
"""


@pytest.mark.parametrize("to", [*NO_ADDRESSES.split("\n"), f"{'x' * 65}@example.org", "bob@" + "й" * 300])
def test_what_is_no_address_is_invalid(to: str) -> None:
    with pytest.raises(UnsendableError) as caught:
        compose(delivery(to=to))
    assert (caught.value.answer.result, caught.value.answer.reason) == (Result.INVALID_ADDRESS, "invalid-address")


@pytest.mark.parametrize("sender", ["", "INM", "INM <>", "INM <no-reply>", "a@example.com, b@example.com", "INM <a@b> <c@d>"])
def test_a_sender_that_is_none_is_permanent(sender: str) -> None:
    with pytest.raises(UnsendableError) as caught:
        compose(delivery(sender=sender))
    assert caught.value.answer.result is Result.PERMANENT


def test_international_addresses() -> None:
    domain_only = compose(delivery(to="bob@Пример.РФ"))
    assert (domain_only.recipient, domain_only.utf8) == ("bob@xn--e1afmkfd.xn--p1ai", False)
    mailbox = compose(delivery(to="борис@пример.рф"))
    assert (mailbox.recipient, mailbox.utf8) == ("борис@xn--e1afmkfd.xn--p1ai", True)
    assert "To: борис@xn--e1afmkfd.xn--p1ai\r\n".encode() in mailbox.octets
    assert compose(delivery(sender="Лев <лев@example.com>")).utf8


def test_plain_text_stays_readable_on_the_wire() -> None:
    octets = compose(delivery(Content("Dear customer,\nthank you.\n", subject="Thanks"))).octets
    assert octets.endswith(b"Content-Transfer-Encoding: 7bit\r\n\r\nDear customer,\r\nthank you.\r\n")
