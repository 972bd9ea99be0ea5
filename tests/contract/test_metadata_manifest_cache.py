"""The manifest cache: bytes last used, up to a bound."""

from moorage.metadata.manifest_cache import ManifestCache


def test_what_was_put_is_got() -> None:
    """And nothing else."""
    cache = ManifestCache(10)
    cache.put(1, b"one")
    assert (cache.get(1), cache.get(2)) == (b"one", None)


def test_what_was_used_longest_ago_makes_room() -> None:
    """A look counts as use."""
    cache = ManifestCache(9)
    for number in (1, 2, 3):
        cache.put(number, b"abc")
    cache.get(1)
    cache.put(4, b"abc")
    assert [number for number in (1, 2, 3, 4) if cache.get(number)] == [1, 3, 4]


def test_the_bound_holds_whatever_comes() -> None:
    """What is larger than the bound is not kept, and takes the rest with it at worst."""
    cache = ManifestCache(5)
    cache.put(1, b"abc")
    cache.put(2, b"abcdef")
    assert cache.get(2) is None
    cache.put(3, b"abcde")
    assert cache.get(3) == b"abcde"


def test_the_same_bytes_count_once() -> None:
    """Putting again changes nothing."""
    cache = ManifestCache(6)
    for _ in range(3):
        cache.put(1, b"abc")
    cache.put(2, b"abc")
    assert (cache.get(1), cache.get(2)) == (b"abc", b"abc")


def test_no_bound_is_no_memory() -> None:
    """A limit of 0 keeps nothing."""
    cache = ManifestCache(0)
    cache.put(1, b"a")
    assert cache.get(1) is None
