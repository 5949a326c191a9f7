"""What the doors have in common: errors, other workers, records that are safe in Kafka, changes of documents, orders, dead letters."""
