"""The CSV report in a CSV parser of another make: PostgreSQL's."""

import asyncio
import csv
import json
from io import BytesIO, StringIO
from pathlib import Path

import asyncpg

from audit.commands import outputs
from audit.report.csv_report import COLUMNS
from audit.report.writer import Output
from tests.support.audits import Servers, audit, new_database


def reports(servers: Servers, folder: Path) -> tuple[bytes, list[dict[str, str]]]:
    """The CSV and the JSON of one run."""
    with audit(servers.settings(folder)) as run_file:
        outputs.report(run_file, [Output(name, str(folder / f"r.{name}")) for name in ("csv", "json")])
    return (folder / "r.csv").read_bytes(), json.loads((folder / "r.json").read_text())["users"]


async def read_by_postgres(dsn: str, content: bytes) -> list[dict[str, str]]:
    connection = await asyncpg.connect(dsn)
    try:
        columns = ", ".join(f'"{name}" text' for name in COLUMNS)
        await connection.execute(f"CREATE TABLE report ({columns})")
        await connection.copy_to_table("report", source=BytesIO(content), format="csv", header=True, null="(null)")
        return [dict(row) for row in await connection.fetch("SELECT * FROM report")]
    finally:
        await connection.close()


def test_postgres_reads_the_same_cells_as_python(servers: Servers, postgres_server: str, tmp_path: Path) -> None:
    content, users = reports(servers, tmp_path)
    dsn = asyncio.run(new_database(postgres_server, "csv_elsewhere"))
    theirs = asyncio.run(read_by_postgres(dsn, content))
    ours = list(csv.DictReader(StringIO(content.decode(), newline=""), strict=True))
    assert theirs == ours
    assert [row["user_id"] for row in theirs] == [user["user_id"] for user in users]
    assert [row["reason"] for row in theirs] == [user["reason"] for user in users]
