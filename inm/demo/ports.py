"""Free ports."""

import random
import socket


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, below those the system gives to clients.

    A client that dials a stopped broker's port from that range can be given the same port, and connects to itself.
    """
    ports: list[int] = []
    for port in random.sample(range(20_000, 32_000), 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise RuntimeError("no free ports between 20000 and 32000")
