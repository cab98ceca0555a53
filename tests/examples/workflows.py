"""Steps of GitHub workflows and actions, run by Bash as a runner does."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.audits import Ended

_EXPRESSION = re.compile(r"\$\{\{ *(\w+)\.([\w-]+)(?:\.outputs\.([\w-]+))? *\}\}")


@dataclass
class Runner:
    """A job: its folders, its environment, and what its steps have put out."""

    folder: Path
    environ: Mapping[str, str]
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    contexts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Such as `secrets` and `matrix`."""

    def run(self, step: Mapping[str, Any]) -> Ended:
        """One `run` step; its outputs are kept."""
        output = self.folder / "output"
        output.write_text("")
        script = self.folder / "step.sh"
        script.write_text(step["run"])
        variables = {name: self.value(str(text)) for name, text in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.folder,
            env={**self.environ, "GITHUB_OUTPUT": str(output), "RUNNER_TEMP": str(self.folder), **variables},
            capture_output=True,
            timeout=60,
            check=False,
        )
        self.outputs[step.get("id", "")] = _outputs(output.read_text())
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    def value(self, text: str) -> str:
        """`text` with its expressions evaluated; of what nobody has put out, nothing."""

        def evaluated(match: re.Match[str]) -> str:
            context, name, output = match.groups()
            if context == "inputs":
                return self.inputs[name]
            if context in self.contexts:
                return self.contexts[context][name]
            assert context == "steps", f"an expression that this runner does not know: {match[0]}"
            return self.outputs.get(name, {}).get(output, "")

        return _EXPRESSION.sub(evaluated, text)


def parsed(path: Path) -> dict[str, Any]:
    """A YAML file."""
    found = yaml.safe_load(path.read_text())
    assert isinstance(found, dict)
    return found


def _outputs(text: str) -> dict[str, str]:
    """What the file GITHUB_OUTPUT says: lines `name=value`, and values of several lines after `name<<END`."""
    several = re.compile(r"^(\S+)<<(\S+)\n(.*?)^\2\n", re.MULTILINE | re.DOTALL)
    found = {match[1]: match[3].rstrip("\n") for match in several.finditer(text)}
    rest = several.sub("", text)
    return found | dict(line.split("=", 1) for line in rest.splitlines())
