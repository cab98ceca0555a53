"""`demo --keep`: the servers of the demo, for whoever wants to try something on them."""

import json
import signal
import time
from pathlib import Path

import pytest
from replicate.client import Client

from audit.model import exit_status
from tests.support.audits import Shell


@pytest.mark.slow
def test_the_printed_lines_lead_to_both_servers_until_a_signal_ends_them(shell: Shell) -> None:
    process = shell.start("demo", "--keep", "-q", "-o", "json=demo.json")
    assert process.stdout is not None
    lines = [process.stdout.readline().decode().strip() for _ in range(3)]
    settings = dict(line.split("=", 1) for line in lines)
    assert list(settings) == ["DATABASE_URL", "REPLICATE_BASE_URL", "REPLICATE_API_TOKEN"]

    alike = ("--trainings", "--timeout", "1", "--retries", "1", "--rate", "12000")
    again = shell("run", "-o", "json=again.json", *alike, **settings)
    assert again.code == exit_status.INCOMPLETE
    first, second = (json.loads((shell.folder / name).read_text()) for name in ("demo.json", "again.json"))
    # The demo's own run also asks its server for weights, which nobody else can do.
    for user in (*first["users"], *second["users"]):
        del user["weights_checked"]
    gone = {user["user_id"] for user in first["users"] if user["reason"] == "weights_gone"}
    left, right = ([user for user in each["users"] if user["user_id"] not in gone] for each in (first, second))
    assert left == right
    assert gone

    client = Client(api_token=settings["REPLICATE_API_TOKEN"], base_url=settings["REPLICATE_BASE_URL"])
    model = next(user["replicate_model_id"] for user in first["users"] if user["reason"] == "latest_version")
    assert len(client.models.get(model.strip()).versions.list()) > 0
    client._client.close()

    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == exit_status.INCOMPLETE
    socket = settings["DATABASE_URL"].split("host=")[1].replace("%2F", "/")
    deadline = time.monotonic() + 5
    while Path(socket).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(socket).exists()


@pytest.mark.slow
def test_ctrl_c_ends_it_too(shell: Shell) -> None:
    process = shell.start("demo", "--keep", "-q", "-o", "json=demo.json")
    assert process.stdout is not None
    for _ in range(3):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == exit_status.INCOMPLETE
