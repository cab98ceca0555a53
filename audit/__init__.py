"""Finds every user whose product runs an old version of their model.

The data flows left to right, once:

    settings -> postgres -> run file -> replicate -> classify -> run file -> report

Imports point down only, and what stands on one line does not import each other (`lint-imports` checks it):

    __main__
    commands                          one room per command; `run` puts the stages of an audit together
    cli | demo                        options, settings, terminal, signals | embedded PostgreSQL, fake Replicate
    report                            one view of a run, a module for each format, one writer
    postgres | replicate | runfile    the product's database | the API | the run: each the border of one library
    findings | hints                  pure: what follows from a record and a reply | what it means, what to do
    model                             the nouns, frozen
    errors                            what ends a run

Read `model`, `findings.classify`, `commands.run.auditor` and `commands.run.audit`, and you know the program.
"""

__version__ = "0.1.0"
