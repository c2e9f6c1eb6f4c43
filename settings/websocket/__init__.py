"""WS_: an outbound WebSocket that gives up politely."""
