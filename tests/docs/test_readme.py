"""The README says what the code does."""

import json
import re

import pytest

from tests import ROOT
from tests.docs import readme

TEXT = readme.PATH.read_text()


def variables(text: str) -> set[str]:
    """The environment variables of this program that a text names."""
    return set(re.findall(r"\b(?:DATABASE_URL|REPLICATE_[A-Z_]+[A-Z]|SYNC_AUDIT_[A-Z_]+[A-Z]|[A-Z]+_PROXY)\b", text))


def targets() -> set[str]:
    """What make can make."""
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_part_that_follows_from_the_code_is_there_once() -> None:
    assert sorted(readme.block_names(TEXT)) == sorted(readme.blocks())


@pytest.mark.parametrize("name", readme.blocks())
def test_a_part_that_follows_from_the_code_is_current(name: str) -> None:
    assert readme.blocks()[name] in TEXT, "python -m tests.docs.readme puts it in place"


def test_all_environment_variables_of_the_program_are_explained_and_no_others() -> None:
    code = "".join(path.read_text() for path in (ROOT / "audit").glob("**/*.py"))
    assert variables(TEXT) == variables(code)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_make_target_that_is_named_exists(name: str) -> None:
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / name).read_text(), re.MULTILINE))
    assert {"demo", "test"} <= named <= targets()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_into_the_repository_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", (ROOT / name).read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_options_that_the_examples_use_exist() -> None:
    helps = "".join(text for name, text in readme.blocks().items() if name.endswith(" help"))
    examples = "".join(re.findall(r"^```sh$(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
    used = {
        option
        for line in examples.splitlines()
        if "sync-audit " in line
        for option in re.findall(r" (--?[a-z-]+)", line)
    }
    assert len(used) >= 5
    assert {option for option in used if option not in helps} == set()


def test_the_number_of_users_in_the_demo_is_right() -> None:
    report = json.loads((ROOT / "reports/example/demo.json").read_text())
    assert f"audits {report['summary']['total']} made-up users" in TEXT


def test_the_picture_is_there_and_small() -> None:
    assert 10_000 < (ROOT / "docs/pictures/report.png").stat().st_size < 300_000
