"""The domain: pure values and decisions. No I/O, no clock, no Kafka."""
