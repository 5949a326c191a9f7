"""HTTP as a channel speaks it: guarded connections, templated requests, statuses, receipts by webhook."""
