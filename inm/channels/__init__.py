"""One channel a module: asyncio clients of providers. No Kafka here."""
