"""/status as a client sees it."""

from tests.status.conftest import MakeApp


def test_the_page_names_every_service(make_app: MakeApp) -> None:
    """In development a caller on this machine sees the page."""
    response = make_app().test_client().get("/status")
    assert response.status_code == 200
    assert all(name in response.text for name in ("database", "migrations", "cache"))
