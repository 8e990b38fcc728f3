"""The command line."""

from allocator.cli.main import commands, main
from allocator.cli.options import PREFIX, all_commands

__all__ = ["PREFIX", "all_commands", "commands", "main"]
