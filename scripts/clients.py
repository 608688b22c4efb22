"""The doors' table of venue clients: a venue's name to its client, loaded on use. Owns nothing else.

Rooms never import doors; a door that needs an exchange takes its client from here. The module of each client is in the
venue table (`desk/venues/table.py`), so a tick loads only the venues it trades.
"""

from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from typing import cast

from desk.execution import trouble
from desk.runtime.tick import Run
from desk.venues import table
from desk.venues.protocol import VenueClient


def clients_of(run: Run) -> Callable[[str], VenueClient]:
    """A function venue -> client, one client per venue and run.

    Raises (when called):
        ConfigError: no client for the venue, or no URL or keys it may use.
    """

    @cache
    def client_of(venue: str) -> VenueClient:
        door = import_module(table.row(venue).door)
        client = door.make_client(run.settings, script=run.door, log=run.log.line)
        client.caller.guard.deadline_s = run.deadline_s  # no read outlives the tick
        client.caller.on_refused_again = partial(trouble.stamp_refused, run)
        return cast(VenueClient, client)

    return client_of
