"""What ``serve`` refuses before it touches anything."""

import pytest
import typer

from moorage.cli import serve
from moorage.config import Settings


@pytest.mark.incident(30)
@pytest.mark.parametrize(
    "address", ["0.0.0.0:5050", "[::]:5050", "192.0.2.1:5050", "registry.example.com:5050"]
)
def test_dev_listens_beyond_loopback_only_when_told_twice(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where anyone gets in, only this machine may come; one flag alone is no decision."""
    listening = ("127.0.0.1:5050", address)
    with pytest.raises(typer.Exit):
        serve.check(Settings(dev=True, listen=listening))
    assert "--dev lets anyone in" in capsys.readouterr().err
    told_twice = serve.check(Settings(dev=True, dev_beyond_loopback=True, listen=listening))
    assert len(told_twice) == 2


@pytest.mark.incident(30)
def test_dev_is_off_unless_it_is_asked_for() -> None:
    """No default lets anyone in."""
    assert not Settings().dev
    assert not Settings().dev_beyond_loopback
    assert len(serve.check(Settings())) == 2
