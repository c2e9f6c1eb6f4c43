"""LOG_: each error once in full, the rest counted."""
