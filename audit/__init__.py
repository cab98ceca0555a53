"""Who runs an old version of their model? The data flows left to right, once:

    settings -> source (Postgres) -> ledger (run file) -> replicate (API) -> verdict -> ledger -> report

and imports point down only (`lint-imports` holds them to it):

    L5  cli/                                     doorways: options -> Settings -> app -> exit code
        demo/                                    beside cli: embedded Postgres + fake Replicate
    L4  app, reporting, asking                   composition roots, the only modules that know every stage
    L3  source | ledger | replicate | auditor | report/      siblings: none imports another
    L2  wire | retry | pace | verdict | judge | hints        pure: no I/O, no clock, no asyncio
    L1  models | training | settings             nouns, frozen
    L0  errors                                   leaf

What is told comes from options, environment and config file through `said` (L1: `config_file`, `config`, `said`,
`settings_*`); what the database calls its tables is `tables` (L1).
What `sync-audit user` says of one user has a chain of its own beside that: `person` (L1), `training_rows`, `evidence`,
`retrainings`, `quality` and `user_case` (L2), `source_user` (L3), `app_user` (L4).
So has `sync-audit doctor`: `facts` and `settings_origin` (L1), `checks` and `diagnosis_*` (L2), `source_facts` (L3),
`app_doctor` (L4).
`run --trainings` goes through `training_list` (L3: reads the list), `judge` and `provenance` (L2: what it says), and
`origins` (L2: how every format tells it).
`sync-audit sync` goes from a run file through `app_plan`, `repair_plan` and `repair_sql` (L2: the plan and its SQL) to
`app_repair` and `source_repair` (L3), the only module that ever writes to the product's database.
`sync-audit diff` has `comparison` and `compared_run` (L2), `past_run` (L3) and `app_diff` (L4).
Runs of a part: `shard` says who is in which (L1), `shard_set` whether several belong together and `merged_run`
what they make (L2), and `ledger.shards` and `app_merge` (L4) put their run files together.
Accepted findings: `acceptance` says which entry holds for what; `accept_entries` and `accept_edit` what a file of them
says and how one gets into it (all L2), `accept_file` finds, reads and writes it; `app_accept` is the command (L4).

Read `errors`, `models`, `verdict` and `auditor` and you know the program.
"""

__version__ = "0.1.0"
