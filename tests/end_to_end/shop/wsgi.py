"""A small shop: what an application looks like that relies on the boot for everything."""

import os
import time

from flask import Flask, Response, jsonify, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import func, text
from sqlalchemy.exc import SQLAlchemyError

from bootstrap import bootstrap

app = Flask(__name__)
services = bootstrap(app, migrations=os.environ["SHOP_MIGRATIONS"])
db = SQLAlchemy(app)


class Order(db.Model):  # type: ignore[name-defined,misc,unused-ignore] # Flask-SQLAlchemy makes the base at run time
    """An order of the shop's."""

    __tablename__ = "shop_orders"
    id = db.Column(db.BigInteger().with_variant(db.Integer, "sqlite"), primary_key=True)
    item = db.Column(db.String(100), nullable=False)


@app.errorhandler(SQLAlchemyError)
def without_database(error: SQLAlchemyError) -> tuple[Response, int]:
    """Name the database as down, and nothing else."""
    app.logger.error("the shop cannot reach its database", exc_info=error)
    return jsonify(database="down"), 503


@app.post("/orders")
def order() -> tuple[Response, int]:
    """Take an order; the answer is given when it is committed."""
    row = Order(item=request.form.get("item", "apple"))
    db.session.add(row)
    db.session.commit()
    services.cache.delete("count")
    services.websocket.send("order", {"id": row.id})
    return jsonify(id=row.id), 201


@app.get("/orders")
def orders() -> Response:
    """Count the orders."""
    return jsonify(count=db.session.scalar(db.select(func.count(Order.id))))


@app.get("/price")
@services.cache.cached(timeout=1)
def price() -> Response:
    """Answer from the cache, mostly; no database."""
    return jsonify(price=3, at=time.time())


@app.get("/slow")
def slow() -> Response:
    """Take two seconds, and say when they begin."""
    services.websocket.send("slow", {"pid": os.getpid()})
    time.sleep(2)
    return jsonify(pid=os.getpid())


@services.worker(every=1.0, name="count-orders")
def count_orders() -> None:
    """Note, once per fleet and second, that the job ran."""
    with services.database.session_scope() as session:
        session.execute(
            text("INSERT INTO shop_runs (at, pid) VALUES (:at, :pid)"), {"at": time.time(), "pid": os.getpid()}
        )
