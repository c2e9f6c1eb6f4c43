"""WORKERS_: background work with context, once per fleet."""
