"""`claimcheck check`: whether `claimcheck serve` would start with these settings."""

import argparse

from app.commands.parser import Subparsers, add_command
from app.settings.model import load_settings, require_deployed


def add(commands: Subparsers) -> None:
    purpose = "check the settings and end, with one message if one is wrong"
    add_command(commands, "check", _check, purpose)


def _check(_: argparse.Namespace) -> None:
    load_settings(check=require_deployed)
