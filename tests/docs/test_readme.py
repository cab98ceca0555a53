"""The README says what the code does, and so do the pages that it leads to."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from audit.commands import cli
from tests import ROOT
from tests.docs import readme
from tests.support.documents import blocks, documents

TEXT = readme.PATH.read_text()
CODE = "".join(path.read_text() for path in (ROOT / "audit").glob("**/*.py"))
_COMMAND = re.compile(r"(?:^|[ /|])sync-audit ([a-z]+)([^#|\n]*)")


def variables(text: str) -> set[str]:
    """The environment variables of this program that a text names."""
    return set(re.findall(r"\b(?:DATABASE_URL|REPLICATE_[A-Z_]+[A-Z]|SYNC_AUDIT_[A-Z_]+[A-Z]|[A-Z]+_PROXY)\b", text))


def targets() -> set[str]:
    """What make can make."""
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def targets_named(path: Path) -> set[str]:
    """What a document says that make can make."""
    return set(re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / path).read_text(), re.MULTILINE))


def options_used(path: Path) -> Iterator[tuple[str, str]]:
    """Each command with each option that an example of the document gives it."""
    for block in blocks(path):
        if block.language == "sh":
            for command, rest in _COMMAND.findall(block.text.replace("\\\n", "")):
                for option in re.findall(r" (--?[a-z-]+)", rest):
                    yield command, option


def options(name: str) -> set[str]:
    """What a command takes."""
    command = cli.get_command(click.Context(cli), name)
    assert command, name
    context = click.Context(command, **cli.context_settings)
    return {option for parameter in command.get_params(context) for option in parameter.opts}


def test_every_part_that_follows_from_the_code_is_there_once() -> None:
    assert sorted(readme.block_names(TEXT)) == sorted(readme.blocks())


@pytest.mark.parametrize("name", readme.blocks())
def test_a_part_that_follows_from_the_code_is_current(name: str) -> None:
    assert readme.blocks()[name] in TEXT, "python -m tests.docs.readme puts it in place"


def test_every_command_has_a_page_that_uses_it() -> None:
    assert list(readme.PAGES) == cli.list_commands(click.Context(cli))
    assert [name for name, page in readme.PAGES.items() if f"sync-audit {name}" not in (ROOT / page).read_text()] == []


def test_all_environment_variables_of_the_program_are_explained_and_no_others() -> None:
    assert variables((ROOT / "docs/reference/settings.md").read_text()) == variables(CODE)


@pytest.mark.parametrize("path", documents(), ids=str)
def test_no_document_names_an_environment_variable_that_the_program_does_not_know(path: Path) -> None:
    assert variables((ROOT / path).read_text()) <= variables(CODE)


@pytest.mark.parametrize("path", documents(), ids=str)
def test_every_make_target_that_is_named_exists(path: Path) -> None:
    assert targets_named(path) <= targets()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_the_two_commands_are_named(name: str) -> None:
    assert {"demo", "test"} <= targets_named(Path(name))


@pytest.mark.parametrize("path", documents(), ids=str)
def test_options_that_the_examples_use_exist(path: Path) -> None:
    assert [(name, option) for name, option in options_used(path) if option not in options(name)] == []


def test_examples_use_many_options() -> None:
    assert len({used for path in documents() for used in options_used(path)}) > 30


def test_the_number_of_users_in_the_demo_is_right() -> None:
    report = json.loads((ROOT / "reports/example/demo.json").read_text())
    assert f"audits {report['summary']['total']} made-up users" in TEXT


def test_the_picture_is_there_and_small() -> None:
    assert 10_000 < (ROOT / "docs/pictures/report.png").stat().st_size < 300_000
