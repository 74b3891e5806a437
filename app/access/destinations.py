"""The destinations, by their names, and who may upload there."""

from app.core.destination import Destination
from app.core.principal import Principal
from app.errors import DestinationForbidden, UnknownDestination
from app.settings.model import Settings


def destination_named(settings: Settings, name: str) -> Destination:
    """The destination of that name. Raises UnknownDestination."""
    found = settings.destinations.get(name)
    if found is None:
        known = ", ".join(sorted(settings.destinations))
        raise UnknownDestination(f"There is no destination {name!r}; there are: {known}.")
    return found


def destination_for(settings: Settings, caller: Principal, name: str) -> Destination:
    """The destination of that name, if the caller may upload there.

    Raises UnknownDestination and DestinationForbidden.
    """
    destination = destination_named(settings, name)
    if not destination.admits(caller):
        allowed = [d.name for d in settings.destinations.values() if d.admits(caller)]
        raise DestinationForbidden(
            f"Your credential may not use the destination {name!r}; "
            f"it may use: {', '.join(sorted(allowed)) or 'none'}."
        )
    return destination
