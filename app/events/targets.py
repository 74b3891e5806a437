"""Where webhooks may go."""

from functools import cache
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final

from app.core.client_address import Networks, names_this_machine
from app.core.public_address import is_allowed
from app.settings.model import Settings

if TYPE_CHECKING:
    from yarl import URL

MAX_URL: Final = 2048


@cache
def load_parser() -> "type[URL]":
    """The parser of who sends to it. Loaded late: nothing else here needs it."""
    from yarl import URL

    return URL


def objection(settings: Settings, url: str) -> str | None:
    """Why webhooks never go to this URL, in a sentence; None where they may.

    Names are not resolved for this: what they lead to is checked at each connection.
    """
    parse = load_parser()
    try:
        parsed = parse(url)
        host, port = parsed.host, parsed.port
    except ValueError:
        host = port = None
    if host is None or port is None or len(url) > MAX_URL or not url.isprintable():
        return f"Write a whole URL, up to {MAX_URL} characters: https://www.example.com/hooks."
    here = settings.open_here and names_this_machine(f"[{host}]" if ":" in host else host)
    if parsed.scheme != "https" and not (here and parsed.scheme == "http"):
        return "Webhooks go to https alone, and to http on this machine under `claimcheck dev`."
    if parsed.user is not None or parsed.password is not None or parsed.raw_fragment:
        return "Leave user, password and fragment out of the URL; the signature says who sends."
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return None if is_allowed(address, networks_of(settings)) else NOT_ALLOWED.format(address)


NOT_ALLOWED: Final = (
    "{} is not an address of the public internet: to let webhooks go there, operators add its "
    "network to CLAIMCHECK_WEBHOOK_NETWORKS."
)
_LOOPBACK: Final[Networks] = (ip_network("127.0.0.0/8"), ip_network("::1"))


def networks_of(settings: Settings) -> Networks:
    """Where webhooks may go besides the public internet."""
    return settings.webhook_networks + (_LOOPBACK if settings.open_here else ())
