"""Doors: the ways by which requests come in besides Kafka."""
