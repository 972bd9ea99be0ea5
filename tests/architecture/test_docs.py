"""The pages that are written from the code say what the code says."""

from scripts.generate_docs import DOCS, render_settings, render_status


def test_settings_page_is_that_of_the_settings() -> None:
    """``docs/settings.md`` is what ``make docs`` writes."""
    assert (DOCS / "settings.md").read_text() == render_settings()


def test_status_page_is_that_of_the_operations() -> None:
    """``docs/status.md`` is what ``make docs`` writes."""
    assert (DOCS / "status.md").read_text() == render_status()
