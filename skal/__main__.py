"""The command ``skal``, or ``python -m skal``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, default=None
        By default the command-line arguments of the process.

    Returns
    -------
    status : int
        0 on success.
    """
    parser = argparse.ArgumentParser(
        prog="skal",
        description="Deep active learning with scikit-learn's interface.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    about = "label images, texts or rows of a table in the browser"
    try:
        from .campaign.page import command
    except ImportError as error:
        parser.epilog = (
            f"skal label needs packages that are not here ({error}); pip install 'skal-learn[annotate]'"
        )
        commands.add_parser("label", help=about, add_help=False)
        parser.parse_known_args(arguments)
        print(parser.epilog, file=sys.stderr)
        return 2
    label = commands.add_parser("label", help=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_arguments(label)
    options = parser.parse_args(arguments)
    try:
        return command.run(options)
    except KeyboardInterrupt:  # before the page is there, whose server takes it
        print("Stopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
