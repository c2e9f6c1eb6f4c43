"""The stack that many services write by hand: the same services, joined by extensions, upgraded at each boot."""

import logging
import os
import sys
from pathlib import Path

from apscheduler.schedulers.background import BackgroundScheduler
from flask import Flask
from flask_caching import Cache
from flask_migrate import Migrate, upgrade
from flask_sqlalchemy import SQLAlchemy
from loguru import logger
from pydantic_settings import BaseSettings
from sqlalchemy import text


class Settings(BaseSettings):
    """As much as is needed."""

    database_url: str


settings = Settings()  # type: ignore[call-arg,unused-ignore] # from the environment
logger.remove()
logger.add(sys.stdout, level="INFO")
logging.basicConfig(level=logging.WARNING)
app = Flask("app")
app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url.replace("postgresql://", "postgresql+psycopg2://")
db = SQLAlchemy(app)
Migrate(app, db, directory=str(Path(os.environ["USUAL_MIGRATIONS"])))
Cache(app, config={"CACHE_TYPE": "SimpleCache"})
with app.app_context():
    upgrade()
    db.session.execute(text("SELECT 1"))
scheduler = BackgroundScheduler()
scheduler.add_job(lambda: None, "interval", seconds=60)
scheduler.start()
app.add_url_rule("/", "home", lambda: "hello")
assert app.test_client().get("/").data == b"hello"
scheduler.shutdown(wait=False)
