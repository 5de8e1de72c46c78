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
        By default those of the process.

    Returns
    -------
    status : int
        0 if it went well.
    """
    parser = argparse.ArgumentParser(
        prog="skal", description="Deep active learning with scikit-learn's manners."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    label = commands.add_parser(
        "label",
        help="label images, texts or rows of a table in the browser",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    try:
        from .campaign.page import command
    except ImportError as error:
        print(
            f"skal label needs packages that are not here ({error}); pip install 'skal-learn[annotate]'",
            file=sys.stderr,
        )
        return 2
    command.add_arguments(label)
    options = parser.parse_args(arguments)
    try:
        return command.run(options)
    except KeyboardInterrupt:  # before the page is there, whose server takes it
        print("Stopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
