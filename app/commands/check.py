"""`claimcheck check`: whether `claimcheck serve` would start with these settings."""

import argparse
from typing import TYPE_CHECKING

from app.settings.model import load_settings, require_deployed

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """The command."""
    what = "check the settings and end, with one message if one is wrong"
    commands.add_parser("check", help=what, description=what).set_defaults(run=_check)


def _check(_: argparse.Namespace) -> None:
    require_deployed(load_settings())
