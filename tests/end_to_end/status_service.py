"""The service of the status tests: one route that answers, one that fails, and who may see."""

TOKEN = "a token that nobody guesses"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
WSGI = """
from flask import Flask

from bootstrap import bootstrap

app = Flask(__name__)
services = bootstrap(app)


@app.get("/hello")
def hello():
    return "hello"


@app.get("/broken")
def broken():
    raise ValueError("no such order 7")
"""
