"""The real UI: ``bioalign dev`` (webserver, daemon, code server) over a micro study, and Debian's chromium."""

import json
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from bioalign_assets_tests.micro import STUDY, Micro
from bioalign_assets_tests.releases import first_release
from bioalign_assets_tests.stories.commands import LONGEST_S, family, is_soon, start

WAIT_S = LONGEST_S
AGAIN = """
[experiments.again]
like = "paper"
seed = 43

[evaluation]
"""
"""A second training: of the first and this one either may have to wait."""
STEPS = 60


class Ui:
    """The running UI, and the folder in which its releases arrive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.releases = folder / "releases"
        self.releases.mkdir()
        self.first = first_release(folder)
        self.publish(self.first)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "dev.log"
        # releases are noticed at once, and what is stale soon
        text = STUDY.replace('ctd = "demo"\n', 'ctd = "demo"\ncheck_every_minutes = 0.1\n', 1)
        text = text.replace("[demo_release]", "[automation]\ncheck_stale_every_seconds = 4\n\n[demo_release]")
        text = text.replace("steps = 3\n", f"steps = {STEPS}\n").replace("\n[evaluation]\n", AGAIN)
        self.micro = Micro(folder, text=text)
        self.micro.use(ctd_source=str(self.releases))
        with self.log.open("w") as log:
            self.process = start(
                self.micro, "dev", "-p", str(self.port), hears_interrupt=False, stdout=log, stderr=subprocess.STDOUT
            )  # fmt: skip

    def publish(self, text: str) -> None:
        """Let a release arrive, whole at once."""
        aside = self.releases / ".incoming"
        aside.write_text(text, encoding="utf-8")
        aside.replace(self.releases / "CTD_curated_genes_diseases.csv")

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """Return the data of a GraphQL answer."""
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self.url}/graphql",
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - our own server
            return json.load(answer)["data"]

    def runs(self, *, of: str | None = None) -> list[dict[str, Any]]:
        """Return all runs, or those that were asked for one asset, newest first."""
        found = self.ask(_RUNS)["runsOrError"]["results"]
        return [
            run for run in found if of is None or {"path": of.split("/")} in (run["assetSelection"] or [])
        ]

    def until(self, holds: Callable[[], bool], *, what: str) -> None:
        """Wait until something holds."""

        def holds_by_now() -> bool:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            with suppress(OSError, TypeError, KeyError):  # the server is still coming up
                return holds()
            return False

        assert is_soon(holds_by_now, every_s=0.5), (
            f"waited in vain for {what}\n{self.log.read_text()[-3000:]}"
        )

    def until_made(self, asset: str, *, beside: list[dict[str, Any]], status: str = "SUCCESS") -> None:
        """Wait until a run of an asset, which was not there before, has ended as it should.

        :param beside: the runs of this asset that were there before
        """
        before = {run["runId"] for run in beside}

        def ended() -> list[str]:
            new = [run["status"] for run in self.runs(of=asset) if run["runId"] not in before]
            return new if new and set(new) <= {"SUCCESS", "FAILURE"} else []

        self.until(lambda: bool(ended()), what=f"a run of {asset}")
        assert set(ended()) == {status}, self.runs()

    def launch(self, variant: str) -> str:
        """Launch the training of a variant as the UI does; return the run's id."""
        told = self.ask(_LAUNCH, executionParams=_training(variant))["launchPipelineExecution"]
        assert told["__typename"] == "LaunchRunSuccess", told
        return str(told["run"]["runId"])

    def switch(self, sensor: str, *, on: bool) -> None:
        """Switch a sensor on or off, as a person does in the UI."""
        selector = {
            "repositoryLocationName": "bioalign", "repositoryName": "__repository__", "sensorName": sensor,
        }  # fmt: skip
        seen: list[bool] = []

        # the daemon writes back what it read of a sensor before a tick and after it: what was switched between is lost
        def is_switched() -> bool:
            state = self.ask(_SENSOR, selector=selector)["sensorOrError"]["sensorState"]
            is_ticking = any(tick["status"] == "STARTED" for tick in state["ticks"])
            seen.append((state["status"] == "RUNNING") == on and (on or not is_ticking))
            if (state["status"] == "RUNNING") != on:
                mutation = _START_SENSOR if on else _STOP_SENSOR
                told = self.ask(mutation, selector=selector, id=state["id"])
                assert all("Error" not in answer["__typename"] for answer in told.values()), told
            return len(seen) >= _LOOKS and all(seen[-_LOOKS:])

        self.until(is_switched, what=f"{sensor} to be {'on' if on else 'off'}")

    def end(self) -> list[psutil.Process]:
        """Tell it to end, as containers are stopped; return the processes that it had."""
        processes = family(self.process)
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(WAIT_S)
        return processes

    def kill(self) -> None:
        """Kill what is left of it."""
        if self.process.poll() is None:
            for process in family(self.process):
                process.kill()
            self.process.kill()
        self.process.wait(60)


_LAUNCH = """
mutation Launch($executionParams: ExecutionParams!) {
  launchPipelineExecution(executionParams: $executionParams) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PipelineNotFoundError { message }
    ... on InvalidSubsetError { message }
  }
}
"""
_RUNS = "{ runsOrError { ... on Runs { results { runId status assetSelection { path } } } } }"
_SENSOR = """
query Sensor($selector: SensorSelector!) {
  sensorOrError(sensorSelector: $selector) { ... on Sensor { sensorState { id status ticks(limit: 1) { status } } } }
}
"""
_STOP_SENSOR = "mutation Stop($id: String!) { stopSensor(id: $id) { __typename } }"
_START_SENSOR = (
    "mutation Start($selector: SensorSelector!) { startSensor(sensorSelector: $selector) { __typename } }"
)
_LOOKS = 4
"""Half a second apart, at which a switch must still stand"""


def _training(variant: str) -> dict[str, Any]:
    return {
        "selector": {
            "repositoryLocationName": "bioalign",
            "repositoryName": "__repository__",
            "pipelineName": "__ASSET_JOB",
            "assetSelection": [{"path": ["training", "adapter"]}, {"path": ["training", "log"]}],
        },
        "mode": "default",
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": variant}]},
    }
