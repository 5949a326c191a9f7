"""An SMPP 3.4 client: a session whose submits can be awaited, over the PDUs and enums of aiosmpplib."""
