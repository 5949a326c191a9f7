"""An SMSC to send to: an SMPP 3.4 server that is strict, remembers, and misbehaves on demand."""

from inm.demo.smsc.behaviour import Behaviour, Verdict
from inm.demo.smsc.ledger import Ledger, Sms
from inm.demo.smsc.server import Smsc

__all__ = ["Behaviour", "Ledger", "Sms", "Smsc", "Verdict"]
