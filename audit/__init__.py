"""Finds every user whose product runs an old version of their model.

The data flows left to right, once:

    settings -> postgres -> run file -> replicate -> classify -> run file -> report

Imports point down only, and what stands on one line does not import each other (`lint-imports` checks it):

    __main__
    commands                        one room per command
    cli | demo                      settings, terminal, logs | servers and users
    report                          one view, a module for each format, a writer
    repair                          which rows sync changes and how; reports say it too
    postgres | replicate | runfile  each the border of one library
    files                           files that others have made, opened without a surprise
    findings | hints                pure: what follows | what it means, what to do
    model                           the nouns, frozen
    errors                          what ends a run

Read `model`, `findings.classify`, `commands.run.auditor` and `commands.run.audit`, and you know the program.
"""

__version__ = "0.1.0"
