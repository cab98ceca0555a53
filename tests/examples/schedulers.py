"""Schedulers in small: kubectl, aws, sbatch and scontrol run what they are given on this machine, at once.

`install` puts them into a folder for PATH. They keep their state in the folder SCHEDULER: `ended` has a line for each
attempt, which names the job, its index and its exit code, and `runs` is what jobs see as /runs.
"""

import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from tests import ROOT

_SECRETS = {"DATABASE_URL", "REPLICATE_API_TOKEN"}


def install(folder: Path) -> None:
    """The commands, as a machine has them that may give jobs to a scheduler."""
    for name in ("kubectl", "aws", "sbatch", "scontrol"):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.examples.schedulers {name} "$@"\n')
        script.chmod(0o755)


def ended(place: Path) -> list[tuple[str, int, int]]:
    """Job, index and exit code of each attempt, in their order."""
    lines = (place / "ended").read_text().splitlines()
    return [(job, int(index), int(code)) for job, index, code in map(str.split, lines)]


@dataclass
class Job:
    """What is run for each index until it needs no further attempt."""

    name: str
    command: list[str]
    environ: Mapping[str, str]
    folder: Path
    attempts: int = 1
    hopeless: Callable[[int], bool] = lambda _: False
    """Whether an exit code makes further attempts vain."""

    def attempt(self, index: int, environ: Mapping[str, str]) -> int:
        """Run it once; returns its exit code."""
        with (_place() / f"{self.name}.log").open("a") as log:
            code = subprocess.run(
                self.command, cwd=self.folder, env={**self.environ, **environ}, stdout=log, stderr=log, check=False
            ).returncode
        with (_place() / "ended").open("a") as lines:
            lines.write(f"{self.name} {index} {code}\n")
        return code

    def succeeds(self, index: int, environ: Callable[[int, int], Mapping[str, str]]) -> bool:
        """Attempt it as often as is allowed. `environ` makes variables of the index and of the attempt's number."""
        for number in range(1, self.attempts + 1):
            code = self.attempt(index, environ(index, number))
            if code == 0 or self.hopeless(code):
                return code == 0
        return False


def _place() -> Path:
    return Path(os.environ["SCHEDULER"])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _environ(*, secrets: bool) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if secrets or name not in _SECRETS}


def _here(text: str) -> str:
    """`text` with the volume of the containers where it is on this machine."""
    return text.replace("/runs", str(_place() / "runs"))


def kubectl(verb: str, *arguments: str) -> None:
    """Job by Job: `create` returns when it is over."""
    if verb == "create":
        assert arguments == ("--filename", "-", "--output", "name")
        document = yaml.safe_load(sys.stdin)
        name = document["metadata"]["generateName"] + "x7k2p"
        failed = _run_job(name, document["spec"])
        (_place() / f"{name}.conditions").write_text("FailureTarget Failed" if failed else "Complete")
        _say(f"job.batch/{name}")
    else:
        name = arguments[0].removeprefix("job.batch/")
        _say((_place() / f"{name}.{'log' if verb == 'logs' else 'conditions'}").read_text())


def _run_job(name: str, spec: Mapping[str, Any]) -> bool:
    """Whether an index has failed."""
    indexed = spec.get("completionMode") == "Indexed"
    (container,) = spec["template"]["spec"]["containers"]
    rules = [rule for rule in spec["podFailurePolicy"]["rules"] if rule["action"] == "FailIndex"]
    job = Job(
        name,
        [_here(each) for each in container["command"] + container["args"]],
        _environ(secrets="envFrom" in container) | {each["name"]: each["value"] for each in container["env"]},
        Path(_here(container["workingDir"])),
        spec["backoffLimitPerIndex" if indexed else "backoffLimit"] + 1,
        lambda code: any(code in rule["onExitCodes"]["values"] for rule in rules),
    )
    if not indexed:
        return not job.succeeds(0, lambda *_: {})
    succeeded = [job.succeeds(i, lambda i, _: {"JOB_COMPLETION_INDEX": str(i)}) for i in range(spec["completions"])]
    return not all(succeeded)


def aws(*arguments: str) -> None:
    """`aws batch submit-job`: what AWS would refuse is refused."""
    assert arguments[:2] == ("batch", "submit-job")
    assert arguments[-4:] == ("--query", "jobId", "--output", "text")
    options = dict(zip(arguments[2:-4:2], arguments[3:-4:2], strict=True))
    shorthand = {name.removeprefix("--"): dict([value.split("=")]) for name, value in options.items() if "=" in value}
    size = int(shorthand.get("array-properties", {}).get("size", 0))
    request: dict[str, Any] = {
        "jobName": options["--job-name"],
        "jobQueue": options["--job-queue"],
        "jobDefinition": options["--job-definition"],
        "arrayProperties": {"size": size} if size else {},
        "parameters": shorthand.get("parameters", {}),
        "dependsOn": [shorthand["depends-on"]] if "depends-on" in shorthand else [],
    }
    refused = batch_says("SubmitJob", request)
    assert not refused, refused
    name = options["--job-definition"].removeprefix("sync-audit-")
    definition = json.loads((ROOT / f"examples/aws-batch/{name}.json").read_text())
    after = [(_place() / f"{each['jobId']}.failed") for each in request["dependsOn"]]
    if not any(each.exists() for each in after) and _run_batch(name, definition, size, request["parameters"]):
        (_place() / f"id-of-{name}.failed").touch()
    _say(f"id-of-{name}")


def batch_says(operation: str, request: Mapping[str, Any]) -> str:
    """What AWS Batch has to say against the shape of a request; nothing where there is nothing."""
    # It has no types; and it is slow to import, which the other commands need not wait for.
    from botocore import loaders, model, validate  # type: ignore[import-untyped]  # noqa: PLC0415

    service = model.ServiceModel(loaders.Loader().load_service_model("batch", "service-2"))
    report = validate.ParamValidator().validate(request, service.operation_model(operation).input_shape)
    return str(report.generate_report())


def _run_batch(name: str, definition: Mapping[str, Any], size: int, parameters: Mapping[str, str]) -> bool:
    """Whether one of the array has failed, or the single job."""
    container, strategy = definition["containerProperties"], definition["retryStrategy"]
    (program, *words) = container["command"]
    script = _place() / program
    script.write_text(_here((ROOT / "examples/aws-batch" / program).read_text()))
    exits = [rule["onExitCode"] for rule in strategy["evaluateOnExit"] if rule["action"] == "EXIT"]
    job = Job(
        name,
        ["/bin/sh", str(script), *(parameters[each.removeprefix("Ref::")] for each in words)],
        _environ(secrets="secrets" in container),
        _place(),
        strategy["attempts"],
        lambda code: any(fnmatchcase(str(code), each) for each in exits),
    )

    def variables(index: int, number: int) -> Mapping[str, str]:
        common = {"AWS_BATCH_JOB_ID": f"id-of-{name}", "AWS_BATCH_JOB_ATTEMPT": str(number)}
        own = {"AWS_BATCH_JOB_ID": f"id-of-{name}:{index}", "AWS_BATCH_JOB_ARRAY_INDEX": str(index)}
        return common | own | {"AWS_BATCH_JOB_ARRAY_SIZE": str(size)} if size else common

    succeeded = [job.succeeds(index, variables) for index in range(size or 1)]
    return not all(succeeded)


def sbatch(*arguments: str) -> None:
    """A job, or each task of an array; `scontrol requeue` gives it another attempt."""
    parser = ArgumentParser(allow_abbrev=False)
    parser.add_argument("--parsable", action="store_true", required=True)
    parser.add_argument("--chdir", type=Path, required=True)
    parser.add_argument("--array")
    parser.add_argument("--dependency")
    parser.add_argument("script", type=Path)
    parser.add_argument("words", nargs="*")
    options = parser.parse_args(arguments)
    assert options.dependency in (None, "afterany:40")
    command = ["bash", str(options.script), *options.words]
    job = Job(options.script.stem, command, _environ(secrets=False), options.chdir)
    for task in _tasks(options.array):
        variables = {"SLURM_JOB_ID": f"4{task}"}
        if options.array:
            variables |= {"SLURM_ARRAY_JOB_ID": "40", "SLURM_ARRAY_TASK_ID": str(task)}
        wish = _place() / f"requeue-4{task}"
        restarts = 0
        job.attempt(task, variables)
        while wish.exists():
            wish.unlink()
            restarts += 1
            job.attempt(task, variables | {"SLURM_RESTART_COUNT": str(restarts)})
    _say("40;cluster" if options.array else "50")


def _tasks(array: str | None) -> Iterable[int]:
    if array is None:
        return (0,)
    first, last = map(int, array.split("-"))
    return range(first, last + 1)


def scontrol(*arguments: str) -> None:
    """`scontrol requeue ID`."""
    verb, number = arguments
    assert verb == "requeue"
    (_place() / f"requeue-{number}").touch()


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    run: Mapping[str, Callable[..., None]] = {"kubectl": kubectl, "aws": aws, "sbatch": sbatch, "scontrol": scontrol}
    run[command](*rest)
