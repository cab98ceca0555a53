"""How fast and how small the audit is, measured against what it cannot do without: `python -m benchmarks`.

    workload  synthetic users in PostgreSQL and behind a fake Replicate, each in a process of its own
    child     one contender = one fresh process; the kernel says what it used (`measure`)
    bare      contender: a loop that fetches and decodes the same answers and does nothing else
    fetch     contender: the audit's own client alone
    classify  contender: the same with a finding for every answer, without database, run file and reports
    official  contender: the official client, which builds what the audit skips
    cost, formats, start, rate, bodies, trainings, forecast      what is measured of the same users, one module each
    scale     what is measured of one run of each size: its `life`, and whether the end is the `truth`
    results   one line per figure, with its limit; a table, Markdown and JSON, and the documentation's `page`

Figures in seconds are of one machine; what holds elsewhere are the ratios, and those come from one run in which the
contenders take turns.
"""
