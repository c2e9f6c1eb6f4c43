"""A boot as ours does it, and one response."""

from flask import Flask

from bootstrap import bootstrap

app = Flask("app")
app.add_url_rule("/", "home", lambda: "hello")
bootstrap(app, start=False)
assert app.test_client().get("/").data == b"hello"
