"""Files of a connection with TLS that do not hold what they are there for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from audit.errors import DatabaseError, SettingsError
from audit.model.times import utc_now
from audit.postgres.connection import connect
from audit.postgres.url import parse_database_url
from tests import ROOT

OWN = {"sslrootcert": "root.crt", "sslcert": "postgresql.crt", "sslkey": "postgresql.key", "sslcrl": "root.crl"}
NO_CERTIFICATE = "it holds no certificate in PEM form"
NO_LIST = "it holds no revocation list in PEM form"
NO_KEY = "it holds no private key in PEM form, or one that sslpassword does not open"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good and bad files."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    ours, theirs = (authority.issue_cert(name) for name in ("ours", "theirs"))
    authority.cert_pem.write_to_path(folder / "ca")
    ours.cert_chain_pems[0].write_to_path(folder / "cert")
    ours.private_key_pem.write_to_path(folder / "key")
    ours.private_key_and_cert_chain_pem.write_to_path(folder / "both")
    theirs.private_key_pem.write_to_path(folder / "other_key")
    key = load_pem_private_key(ours.private_key_pem.bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"s3cr3t"))
    (folder / "locked").write_bytes(locked)
    (folder / "text").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (folder / "empty").write_bytes(b"")
    (folder / "broken").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (folder / "binary").write_bytes(bytes(range(256)) * 100)
    signer = load_pem_private_key(authority.private_key_pem.bytes(), None)
    root = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    dates = {"last_update": utc_now(), "next_update": root.not_valid_after_utc}
    crl = x509.CertificateRevocationListBuilder(root.subject, **dates).sign(signer, hashes.SHA256())  # type: ignore[arg-type]
    (folder / "crl").write_bytes(crl.public_bytes(Encoding.PEM))
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


BAD = [
    *(({"sslrootcert": file}, "sslrootcert", NO_CERTIFICATE) for file in ("text", "empty", "broken", "binary", "crl")),
    *(({"sslcert": file, "sslkey": file}, "sslcert", NO_CERTIFICATE) for file in ("text", "empty", "broken", "key")),
    *(({"sslcrl": file}, "sslcrl", NO_LIST) for file in ("text", "empty", "ca")),
    *(({"sslcert": "cert", "sslkey": file}, "sslkey", NO_KEY) for file in ("text", "empty", "cert", "locked")),
    ({"sslcert": "cert"}, "sslcert", NO_KEY),
    ({"sslcert": "cert", "sslkey": "other_key"}, "sslkey", "it is not the key of"),
    ({"sslcert": "cert", "sslkey": "locked", "sslpassword": "wr0ng"}, "sslkey", NO_KEY),
    ({"sslcert": "cert", "sslkey": "locked", "sslpassword": "wr0ng" * 300}, "sslkey", NO_KEY),
]


async def outcome(
    folder: Path, given: dict[str, str], home: Path, *, own: bool, mode: str = "verify-full"
) -> Exception:
    """What connecting to a port where nobody is ends in; with `own`, with the files in ~/.postgresql."""
    query = f"sslmode={mode}" + ("" if "sslrootcert" in given else f"&sslrootcert={folder}/ca")
    for name, value in given.items():
        if name in OWN and own:
            (home / ".postgresql").mkdir(exist_ok=True)
            (home / ".postgresql" / OWN[name]).write_bytes((folder / value).read_bytes())
        else:
            query += f"&{name}={folder / value if name in OWN else value}"
    with pytest.raises((SettingsError, DatabaseError)) as caught:
        await connect(parse_database_url(f"postgresql://u@127.0.0.1:9/x?{query}"), statement_timeout=1)
    return caught.value


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("bad", BAD)
async def test_a_file_that_is_not_what_it_is_there_for_is_named(
    made: Path, home: Path, bad: tuple[dict[str, str], str, str], *, own: bool
) -> None:
    given, name, words = bad
    error = await outcome(made, given, home, own=own)
    assert isinstance(error, SettingsError)
    file = home / ".postgresql" / OWN[name] if own else made / given[name]
    assert f"{file}" in str(error)
    assert own or f"{name}={file}" in str(error)
    assert words in str(error)
    said = f"{error} {error.next_step}"
    assert "_ssl" not in said
    assert "wr0ng" not in said


GOOD = [
    {"sslrootcert": "ca", "sslcrl": "crl"},
    {"sslcert": "cert", "sslkey": "key"},
    {"sslcert": "both"},
    {"sslcert": "cert", "sslkey": "locked", "sslpassword": "s3cr3t"},
    {"sslkey": "text"},
]


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("given", GOOD)
async def test_good_files_lead_to_the_server(made: Path, home: Path, given: dict[str, str], *, own: bool) -> None:
    assert "connection refused" in str(await outcome(made, given, home, own=own))


@pytest.mark.parametrize(("given", "mode"), [({"sslrootcert": "text"}, "prefer"), ({"sslcert": "text"}, "disable")])
async def test_what_is_not_used_need_not_be_right(made: Path, home: Path, given: dict[str, str], mode: str) -> None:
    assert "connection refused" in str(await outcome(made, given, home, own=False, mode=mode))


@pytest.mark.parametrize("kind", ["pipe", "nowhere"])
@pytest.mark.parametrize("command", ["run", "doctor", "init", "user anna", "sync x", "merge x y", "render x", "demo"])
def test_no_command_waits_or_fails_at_a_file_for_keys_that_is_none(tmp_path: Path, kind: str, command: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    keys = tmp_path / kind / ("" if kind == "pipe" else "keys")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SSLKEYLOGFILE": str(keys), "PYTHONPATH": str(ROOT)}
    program = [sys.executable, "-m", "audit", *command.split()]
    done = subprocess.run(program, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert f"SSLKEYLOGFILE: cannot write to {keys}: " in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
