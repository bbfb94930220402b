"""The real UI: ``bioalign dev`` (webserver, daemon, code server) over a micro study, and Debian's chromium."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from bioalign_assets_tests.automation.releases import first_release
from bioalign_assets_tests.micro import STUDY

WAIT_S = 300


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
        study = folder / "study.toml"
        # releases are noticed at once; what is stale stays so, to be seen
        text = STUDY.replace('ctd = "demo"\n', 'ctd = "demo"\ncheck_every_minutes = 0.1\n', 1)
        text = text.replace(
            "[demo_release]", "[automation]\ncheck_stale_every_seconds = 86400\n\n[demo_release]"
        )
        study.write_text(text, encoding="utf-8")
        environment = os.environ | {
            "BIOALIGN_STUDY": str(study),
            "BIOALIGN_WAREHOUSE": str(folder / "warehouse"),
            "BIOALIGN_CTD_SOURCE": str(self.releases),
            "OMP_NUM_THREADS": "1",
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bioalign_assets.cli", "dev", "-p", str(self.port)],
                env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def publish(self, text: str) -> None:
        """Let a release arrive, whole at once."""
        aside = self.releases / ".incoming"
        aside.write_text(text, encoding="utf-8")
        aside.replace(self.releases / "CTD_curated_genes_diseases.csv")

    def ask(self, query: str) -> dict[str, Any]:
        """Return the data of a GraphQL answer."""
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self.url}/graphql",
            data=json.dumps({"query": query}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own server
            return json.load(answer)["data"]

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs, newest first."""
        return self.ask("{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }")[
            "runsOrError"
        ]["results"]

    def until(self, holds: Callable[[], bool], *, what: str) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            try:
                if holds():
                    return
            except (OSError, TypeError, KeyError):  # the server is still coming up
                pass
            time.sleep(0.5)
        raise AssertionError(f"not within {WAIT_S} s: {what}\n{self.log.read_text()[-3000:]}")

    def until_runs(self, count: int, *, status: str = "SUCCESS") -> None:
        """Wait until so many runs have ended, and the last of them as it should."""

        def ended() -> bool:
            runs = self.runs()
            return len(runs) >= count and all(run["status"] in {"SUCCESS", "FAILURE"} for run in runs)

        self.until(ended, what=f"{count} runs")
        assert self.runs()[0]["status"] == status

    def end(self) -> None:
        """End the UI with all its processes."""
        family = (
            psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        )
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(family, timeout=20)
        for process in alive:
            process.kill()


# of the module: a running daemon and webserver would slow down all tests after these
@pytest.fixture(scope="module")
def ui(tmp_path_factory) -> Iterator[Ui]:
    made = Ui(tmp_path_factory.mktemp("ui"))
    try:
        made.until(lambda: bool(made.ask("{ assetNodes { id } }")["assetNodes"]), what="the asset graph")
        made.until_runs(1)  # the first release is new
        yield made
    finally:
        made.end()


@pytest.fixture
def page(browser) -> Iterator[Any]:
    opened = browser.new_page(viewport={"width": 1400, "height": 900})
    opened.set_default_timeout(WAIT_S * 1000)
    broken: list[str] = []
    opened.on("pageerror", lambda error: broken.append(str(error)))
    yield opened
    opened.close()
    assert broken == []
