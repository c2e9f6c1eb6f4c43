"""Whether Celery's client can open a broker's URL at all; nothing is connected."""

from typing import Any

from settings.problems import Diagnosis
from settings.workers.broker_url import translated
from settings.workers.diagnosis import diagnose


def unusable_broker(url: str) -> Diagnosis | None:
    """Return why Celery cannot be given this URL, or None when it can; no part of the URL is in the words."""
    from kombu.connection import Connection  # costs, and is there with Celery only

    connection: Any = Connection  # kombu annotates some of its functions only
    scheme = url.partition(":")[0].lower()
    try:
        broker = translated(url)
        connection(broker.url, ssl=broker.tls).transport  # noqa: B018 - imports the client of the scheme, and reads the URL
    except (ImportError, NameError) as error:  # the latter from a transport whose client is not there
        module = error.name if isinstance(error, ImportError) else None
        return diagnose("broker-client-missing", scheme=scheme, module=module or "a module")
    except Exception as error:  # noqa: BLE001 - each client reads the URL in its own way; all of it is a wrong URL
        return diagnose("broker-url-unusable", scheme=scheme, error=type(error).__name__)
    return None
