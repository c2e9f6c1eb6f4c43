"""The floor of a boot: the same libraries by hand, nothing that could be left out, one response."""

import sys

from flask import Flask
from flask_caching import Cache
from loguru import logger
from pydantic_settings import BaseSettings
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session


class Settings(BaseSettings):
    """As much as is needed."""

    database_url: str


settings = Settings()  # type: ignore[call-arg,unused-ignore] # from the environment
logger.remove()
logger.add(sys.stdout, level="INFO")
app = Flask("app")
engine = create_engine(settings.database_url.replace("postgresql://", "postgresql+psycopg2://"))
Cache(app, config={"CACHE_TYPE": "SimpleCache"})
with Session(engine) as session:
    session.execute(text("SELECT 1"))
    session.execute(text("SELECT version_num FROM twelvefactor_version"))
app.add_url_rule("/", "home", lambda: "hello")
assert app.test_client().get("/").data == b"hello"
