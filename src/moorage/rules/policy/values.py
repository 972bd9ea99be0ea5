"""Values of conditions read as what their operator compares: numbers, times, addresses, bytes."""

import base64
import binascii
import datetime as dt
import ipaddress
import re
from decimal import Decimal
from functools import lru_cache
from typing import Final

_NUMBER: Final = re.compile(r"[-+]?[0-9]{1,64}(?:\.[0-9]{1,64})?(?:[eE][-+]?[0-9]{1,3})?")

# The W3C profile of ISO 8601: from the year alone to fractions of a second, with a zone once there is a time.
_TIME: Final = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(?:Z|([+-])([0-9]{2}):([0-9]{2})))?)?)?"
)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MAPPED: Final = 0xFFFF << 32


def number(text: str) -> Decimal | None:
    """A whole or decimal number; None for any other text."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


@lru_cache(maxsize=1024)
def instant(text: str) -> Decimal | None:
    """Seconds since the epoch, from a time of ISO 8601 or from such a number; None for any other text.

    Four digits alone are a year.
    """
    found = _TIME.fullmatch(text)
    return number(text) if found is None else _seconds(found)


def _seconds(found: re.Match[str]) -> Decimal | None:
    year, month, day, hour, minute, second, fraction, sign, zone_hours, zone_minutes = found.groups()
    try:
        moment = dt.datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), tzinfo=dt.UTC
        )
        zone = dt.timedelta(hours=int(zone_hours or 0), minutes=int(zone_minutes or 0))
    except ValueError:
        return None
    if int(second or 0) > 59 or int(zone_minutes or 0) > 59:
        return None
    since = (moment - _EPOCH) + (zone if sign == "-" else -zone)
    whole = since.days * 86_400 + since.seconds + int(second or 0)
    return whole + Decimal(f"0.{fraction or 0}")


@lru_cache(maxsize=4096)
def address(text: str) -> tuple[int, int] | None:
    """Version and number of an IP address, IPv4 also where it is written as IPv6; None for any other text."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    value = int(found)
    return (4, value & 0xFFFFFFFF) if found.version == 6 and _is_mapped(value) else (found.version, value)


def network(text: str) -> tuple[int, int, int] | None:
    """Version, mask and masked number of an address or CIDR range, as with ``address``; None for any other text."""
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    mask, value = int(found.netmask), int(found.network_address)
    if found.version == 6 and found.prefixlen >= 96 and _is_mapped(value):
        return 4, mask & 0xFFFFFFFF, value & 0xFFFFFFFF
    return found.version, mask, value


def _is_mapped(value: int) -> bool:
    """Whether this number of IPv6 is that of an IPv4 address (RFC 4291, 2.5.5.2)."""
    return value >> 32 << 32 == _MAPPED


def truth(text: str) -> bool | None:
    """``true`` or ``false`` in letters of any size; None for any other text."""
    return {"true": True, "false": False}.get(text.lower())


def octets(text: str) -> bytes | None:
    """Bytes from base64; None for any other text."""
    try:
        return base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
