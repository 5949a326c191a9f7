"""The hardened Faust layer: the one place that touches Faust's and aiokafka's inside.

A record is acked only after all that it caused is acknowledged by the broker: outputs first, then state, then the ack.
``docs/architecture.md`` tells the whole; each module here is one of its ideas.
"""
