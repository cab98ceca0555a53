"""When certificates are read, and which."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

ASKED = """
import os
from audit.replicate import certificates
from aiohttp import connector
held = [connector._SSL_CONTEXT_VERIFIED, connector._SSL_CONTEXT_UNVERIFIED, certificates.verifying()]
print([each.cert_store_stats()["x509_ca"] for each in held], os.environ.get("SSL_CERT_FILE"))
print(certificates.verifying().check_hostname, certificates.verifying().verify_mode.name)
"""


@pytest.mark.parametrize("given", [True, False])
def test_certificates_are_read_once_where_tls_is_wanted_and_are_those_that_were_named(
    tmp_path: Path, *, given: bool
) -> None:
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(file)
    environ = {name: value for name, value in os.environ.items() if name != "SSL_CERT_FILE"}
    done = subprocess.run(
        [sys.executable, "-c", ASKED],
        env=environ | ({"SSL_CERT_FILE": str(file)} if given else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    counts, kind = done.stdout.splitlines()
    assert kind == "True CERT_REQUIRED"
    if given:
        assert counts == f"[0, 0, 1] {file}"
    else:
        assert counts.startswith("[0, 0, ")
        assert counts.endswith("] None")
