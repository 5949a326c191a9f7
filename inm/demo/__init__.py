"""The installation in a box: an embedded Kafka, provider simulators and the commands that drive them."""
