"""The command line. Each verb is a module that imports what it needs when it is called."""


def main() -> None:
    """Run the `treue` command."""
    from treue.cli.app import run

    run()
