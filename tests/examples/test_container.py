"""The container file: what it makes, as far as that can be seen without a container runtime."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

LINES = re.sub(r"\\\n\s*", "", (ROOT / "Containerfile").read_text()).splitlines()
INSTRUCTIONS = [line.split(None, 1) for line in LINES if line and not line.startswith("#")]
START = [number for number, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM"][-1]
FINAL = INSTRUCTIONS[START:]
CONTEXT = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]


def last(word: str) -> str:
    return [rest for each, rest in FINAL if each == word][-1]


def test_it_runs_as_an_ordinary_user() -> None:
    user, _, group = last("USER").partition(":")
    assert int(user) >= 1000
    assert int(group) >= 1000


def test_nothing_is_built_or_downloaded_in_the_image_that_stays() -> None:
    steps = " ".join(rest for word, rest in FINAL if word == "RUN")
    assert not re.search(r"\b(pip|apt|apt-get|gcc|curl|wget)\b", steps)
    assert [rest.split()[0] for word, rest in FINAL if word == "COPY"] == ["--from=build"]


def test_the_build_gets_what_the_wheel_is_made_of_and_no_more() -> None:
    assert all((ROOT / name).exists() for name in CONTEXT)
    assert set(CONTEXT) == {"audit", "templates", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"}


def script(place: Path) -> str:
    """All steps, each stage in a root of its own: this machine's files below, what the steps write above."""
    lines = ["set -eu", f"cd {place}", "mount -t tmpfs none .", "mkdir empty"]
    folder, names, stage = "/", dict[str, str](), ""
    for word, rest in INSTRUCTIONS:
        if word == "FROM":
            stage = f"stage{len(names)}"
            names[rest.split(" AS ")[-1]] = stage
            lines += [f"mkdir {stage} {stage}.up {stage}.work"]
            lines += [f"mount -t overlay overlay -o lowerdir=/,upperdir={stage}.up,workdir={stage}.work {stage}"]
            lines += [f"chmod o+x {stage}{parent}" for parent in Path(sys.base_prefix).parents if str(parent) != "/"]
            folder = "/"
        elif word == "WORKDIR":
            folder = rest
            lines.append(f"mkdir -p {stage}{folder}")
        elif word == "COPY" and rest == ". .":
            lines += [f"cp -r {ROOT / name} {stage}{folder}/" for name in CONTEXT]
        elif word == "COPY":
            source, where, to = rest.split()
            lines.append(f"mkdir -p {stage}{Path(to).parent} && cp -a {names[source.split('=')[1]]}{where} {stage}{to}")
        elif word == "RUN":
            lines.append(f"chroot {stage} sh -c {shlex.quote(f'cd {folder} && {rest}')}")
    user, _, group = last("USER").partition(":")
    as_user = f"chroot {stage} setpriv --reuid {user} --regid {group} --clear-groups env -i HOME=/work"
    program = f"{as_user} /opt/sync-audit/bin/sync-audit"
    lines += [
        f"{program} --version",
        f"{program} explain 3",
        f"{as_user} sh -c 'cd /work && echo report >report && ls -l report'",
        f"{as_user.replace(user, '4242')} sh -c 'cd /work && /opt/sync-audit/bin/sync-audit --version'",  # --user
        f"! {as_user} sh -c 'echo changed >>/opt/sync-audit/bin/sync-audit'",
        f"! {as_user} sh -c 'ls /opt/sync-audit/bin/pip'",
        "echo done",
    ]
    return "\n".join(lines)


@pytest.mark.slow
@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"), reason="roots of its own need root and Linux's unshare"
)
def test_the_steps_work_and_the_user_owns_nothing_but_the_reports(tmp_path: Path) -> None:
    environ = {"PATH": f"{sys.base_prefix}/bin:{os.environ['PATH']}", "HOME": "/root", "TMPDIR": "/var/tmp"}
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", script(tmp_path)],
        env=environ,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if "mount:" in done.stderr and "permission denied" in done.stderr:
        pytest.skip("this machine does not let root mount")
    assert done.stdout.splitlines()[-1:] == ["done"], done.stdout + done.stderr
    assert "sync-audit, version " in done.stdout
