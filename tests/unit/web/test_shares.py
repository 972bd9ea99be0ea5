"""Who lets whom go first when a connection comes."""

from moorage.web.shares import Counted, Shares


def test_who_is_alone_is_never_ahead() -> None:
    assert not Shares(1).is_ahead(0, 1000)


def test_who_has_two_more_than_another_is_ahead() -> None:
    shares = Shares(2)
    shares.tell(1, 3)
    assert not shares.is_ahead(0, 4)
    assert shares.is_ahead(0, 5)


def test_among_many_connections_a_few_more_are_no_lead() -> None:
    shares = Shares(2)
    shares.tell(1, 800)
    assert not shares.is_ahead(0, 900)
    assert shares.is_ahead(0, 902)


def test_nobody_waits_for_a_process_that_is_not_there() -> None:
    shares = Shares(2)
    assert not shares.is_ahead(0, 1000)
    shares.tell(1, 0)
    assert shares.is_ahead(0, 1000)
    shares.leave(1)
    assert not shares.is_ahead(0, 1000)


def test_connections_that_come_and_go_are_told_to_the_others() -> None:
    shares = Shares(2)
    mine = Counted(shares, 0)
    mine.begin()
    connections = [object() for _ in range(3)]
    for connection in connections:
        mine.add(connection)
    assert not shares.is_ahead(1, 4)
    mine.discard(connections[0])
    mine.discard(connections[0])
    assert shares.is_ahead(1, 4)


def test_connections_that_are_being_made_count() -> None:
    shares = Shares(2)
    mine = Counted(shares, 0)
    shares.tell(1, 0)
    assert not mine.is_ahead(1)
    assert mine.is_ahead(2)
