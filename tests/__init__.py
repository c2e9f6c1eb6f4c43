"""The tests: a folder a room, real servers, one claim a test."""
