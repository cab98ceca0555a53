"""`python -m audit` is `sync-audit`."""

from audit.commands import main

if __name__ == "__main__":
    main(prog_name="sync-audit")
