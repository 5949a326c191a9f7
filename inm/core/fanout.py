"""Fan-out: one notification makes others, for the members of a shared offer or for further addresses of a user.

Their ids follow from the notification's own and the recipient, so that a replay makes the same ones and the ledger knows them.
"""

from collections.abc import Collection

from msgspec import structs

from inm.core import ids
from inm.core.records import Notification
from inm.core.users import User


def is_expanded(notification: Notification, user: User | None) -> bool:
    """Whether it stands for the members of an offer. What was made from an offer is not expanded again."""
    return notification.parent is None and (notification.offer is not None or bool(user and user.members))


def members(notification: Notification, user: User | None, partitions: int) -> list[Notification]:
    """One notification a member, under the member's own key and with its role; a member named twice is one."""
    children: dict[str, Notification] = {}
    for member in user.members if user else ():
        if not (member.user or member.phone or member.email):
            continue
        key = ids.user_key(notification.tenant, member.user, member.phone, member.email)
        identity = f"{notification.id}/{key}"
        children.setdefault(
            key,
            structs.replace(
                notification,
                id=ids.notification_id(key, identity, partitions),
                key=key,
                user=member.user,
                phone=member.phone,
                email=member.email,
                role=member.role,
                offer=None,
                parent=notification.id,
                fingerprint=None,
                loaded=None,
                asked=0,
            ),
        )
    return list(children.values())


def destinations(notification: Notification, user: User | None, channels: Collection[str], partitions: int) -> list[Notification]:
    """One notification for each further address of the user that ``channels`` can use. An address in the request stands alone."""
    if user is None or notification.only or notification.test:
        return []
    further = [("phone", phone) for phone in user.phones if "sms" in channels and not notification.phone and phone != user.phone]
    further += [("email", email) for email in user.emails if "email" in channels and not notification.email and email != user.email]
    return [
        structs.replace(
            notification,
            **{"phone": None, "email": None, field: address},
            id=ids.notification_id(notification.key, f"{notification.id}/{address}", partitions),
            parent=notification.id,
            fingerprint=None,
            only=True,
            loaded=None,
            asked=0,
        )
        for field, address in dict.fromkeys(further)
    ]
