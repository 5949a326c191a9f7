"""Clients of the tenants' databases and services, asked for what is known of users. No Faust."""
