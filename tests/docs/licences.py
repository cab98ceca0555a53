"""Which licences the dependencies have, read from their metadata; a page of the reference."""

import re
from collections.abc import Iterator
from configparser import ConfigParser
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

from tests import ROOT


def page() -> Iterator[str]:
    """Everything that is installed with the program, and with the extra `demo`."""
    yield "# Licences\n"
    yield "The program is under the MIT licence. It brings along, directly and through others:\n"
    yield "| package | licence | for |\n| --- | --- | --- |"
    run, demo = closure(direct("run")), closure(direct("demo"))
    for name in sorted(run | demo, key=str.lower):
        purpose = "the program" if name in run else "`demo`"
        yield f"| {name} | {licence(distribution(name))} | {purpose} |"
    yield "\nEach release has a bill of materials besides: `make dist` writes it in the CycloneDX format."


def direct(what: str) -> list[str]:
    """What `setup.cfg` asks for: "run" or an extra."""
    setup = ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    text = setup["options"]["install_requires"] if what == "run" else setup["options.extras_require"][what]
    return [Requirement(line).name for line in text.split("\n") if line]


def closure(names: list[str]) -> set[str]:
    """These and all that they need here, by their own spelling."""
    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if _plain(name) in found:
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:  # an optional one
            continue
        found[_plain(name)] = package.metadata["Name"]
        needed = (Requirement(line) for line in package.requires or ())
        waiting += [each.name for each in needed if not each.marker or each.marker.evaluate({"extra": ""})]
    return set(found.values())


def licence(package: Distribution) -> str:
    """As an SPDX expression where the package says so, else in its own words."""
    # Asked with `[...]` for what is not there, the metadata warn since Python 3.12, and will raise.
    said = {name: "".join(package.metadata.get_all(name, ())) for name in ("License-Expression", "License")}
    classifiers = package.metadata.get_all("Classifier", ())
    named = ", ".join(each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License"))
    short = said["License"] if len(said["License"]) < 40 else ""  # some put the whole text there
    return said["License-Expression"] or short or named or "not said"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
