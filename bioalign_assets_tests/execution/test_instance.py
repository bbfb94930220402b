"""Whose a warehouse is: one study and one Dagster instance, on record, and another is refused before it writes."""

import os
import subprocess
import sys

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner

from bioalign_assets.cli import cli
from bioalign_assets.dagster_private import InstanceRef, identity
from bioalign_assets.errors import WarehouseError
from bioalign_assets.execution import instance as instance_module
from bioalign_assets.execution.instance import (
    adopt,
    belonging_of,
    dagster_home,
    open_instance,
    see_that_it_belongs,
)
from bioalign_assets.settings import PROJECT_ROOT
from bioalign_assets.warehouse.locks import locked
from bioalign_assets.warehouse.schemas import TABLES
from bioalign_assets_tests.warehouse._make import in_processes


def instance_at(home):
    home.mkdir(exist_ok=True)
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home)))


# The instance


def test_an_instance_lives_in_its_warehouse_with_settings_of_ours(tmp_path):
    with open_instance(tmp_path) as instance:
        assert instance.root_directory == str(dagster_home(tmp_path)) == str(tmp_path / "dagster")
        assert instance.telemetry_enabled is False
        limits = instance.get_concurrency_config()
        assert limits.pool_config.default_pool_limit == 1
        # as many light runs as there are cores
        assert limits.run_queue_config.max_concurrent_runs == os.cpu_count()


def test_settings_that_a_person_changed_are_kept(tmp_path):
    open_instance(tmp_path)
    file = dagster_home(tmp_path) / "dagster.yaml"
    settings = yaml.safe_load(file.read_text())
    settings["concurrency"]["pools"]["default_limit"] = 3
    file.write_text(yaml.safe_dump(settings))
    with open_instance(tmp_path) as again:
        assert again.get_concurrency_config().pool_config.default_pool_limit == 3


def _identity_of(root):
    with open_instance(root) as opened:
        return identity(opened)


def test_processes_set_up_a_new_instance_at_once(tmp_path):
    assert len(set(in_processes([(_identity_of, (tmp_path / "new",))] * 2))) == 1


# Whose it is


def test_a_new_warehouse_belongs_to_whoever_comes_first(tmp_path):
    assert belonging_of(tmp_path) is None
    see_that_it_belongs(tmp_path, study="demo", records=False)
    assert belonging_of(tmp_path) is None
    with open_instance(tmp_path) as own:
        see_that_it_belongs(tmp_path, study="demo", instance=own)
        assert belonging_of(tmp_path).instance == identity(own)
        see_that_it_belongs(tmp_path, study="demo", instance=own)
    assert belonging_of(tmp_path).study == "demo"


def test_an_instance_that_dagster_set_up_itself_trains_one_at_a_time_too(tmp_path):
    """``DAGSTER_HOME=<warehouse>/dagster dagster dev -w workspace.yaml`` over a warehouse that is not there yet."""
    (tmp_path / "dagster").mkdir()
    with instance_at(tmp_path / "dagster") as own:
        assert own.get_concurrency_config().pool_config.default_pool_limit is None
        see_that_it_belongs(tmp_path, study="demo", instance=own)
        limits = {limit.name: limit.limit for limit in own.event_log_storage.get_pool_limits()}
        assert limits == {"training": 1}


def test_another_study_is_refused_until_a_person_adopts_it(tmp_path):
    see_that_it_belongs(tmp_path, study="demo")
    with pytest.raises(WarehouseError, match=r"the study demo on record.*BIOALIGN_STUDY=demo.*init --adopt"):
        see_that_it_belongs(tmp_path, study="paper")
    adopt(tmp_path, study="paper", home=None)
    see_that_it_belongs(tmp_path, study="paper")
    with pytest.raises(WarehouseError):
        see_that_it_belongs(tmp_path, study="demo")


def test_a_study_file_may_change_but_not_move(tmp_path, monkeypatch):
    file = tmp_path / "mine.toml"
    file.write_text("one thing")
    see_that_it_belongs(tmp_path / "w", study=str(file))
    file.write_text("another")
    monkeypatch.chdir(tmp_path)
    see_that_it_belongs(tmp_path / "w", study="mine.toml")  # the same file by another name
    with pytest.raises(WarehouseError):
        see_that_it_belongs(tmp_path / "w", study="other.toml")


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("theirs", ["elsewhere", "temporary"])
def test_another_instance_is_refused_before_it_writes(tmp_path, is_new, theirs):
    root = tmp_path / "w"
    if not is_new:
        see_that_it_belongs(root, study="demo")
    other = dg.DagsterInstance.ephemeral() if theirs == "temporary" else instance_at(tmp_path / "home")
    with other, pytest.raises(WarehouseError) as told:
        see_that_it_belongs(root, study="demo", instance=other)
    message = str(told.value)
    assert "\n" not in message
    for part in (f"DAGSTER_HOME={root / 'dagster'}", "bioalign init --adopt", "bioalign dev"):
        assert part in message
    assert (belonging_of(root) is None) is is_new


def test_an_instance_of_the_users_can_be_adopted_and_then_it_has_the_history(tmp_path):
    root, home = tmp_path / "w", tmp_path / "home"
    see_that_it_belongs(root, study="demo")
    with open_instance(root) as own:
        adopt(root, study="demo", home=home)
        with instance_at(home) as theirs:
            see_that_it_belongs(root, study="demo", instance=theirs)
            # trainings take turns there too
            limits = {limit.name: limit.limit for limit in theirs.event_log_storage.get_pool_limits()}
            assert limits == {"training": 1}
        assert dagster_home(root) == home
        with open_instance(root) as opened:
            assert identity(opened) == belonging_of(root).instance != identity(own)
        with pytest.raises(WarehouseError, match="another Dagster instance"):
            see_that_it_belongs(root, study="demo", instance=own)
    assert not (home / "dagster.yaml").exists()  # it is theirs
    adopt(root, study="demo", home=None)
    assert dagster_home(root) == root / "dagster"


def test_an_instance_that_was_moved_is_the_same(tmp_path):
    see_that_it_belongs(tmp_path / "w", study="demo")
    (tmp_path / "w").rename(tmp_path / "moved")
    with open_instance(tmp_path / "moved") as instance:
        see_that_it_belongs(tmp_path / "moved", study="demo", instance=instance)


def test_a_record_that_can_not_be_read_is_told(tmp_path):
    (tmp_path / "warehouse.json").write_text("{half")
    with pytest.raises(WarehouseError, match=r"warehouse.json.*init --adopt"):
        see_that_it_belongs(tmp_path, study="demo")
    adopt(tmp_path, study="demo", home=None)
    see_that_it_belongs(tmp_path, study="demo")


def test_of_two_who_come_first_one_is_recorded(tmp_path, monkeypatch):
    meanwhile = []

    def slow(path, **more):
        if not meanwhile:
            meanwhile.append(1)
            see_that_it_belongs(tmp_path, study="paper")  # another process was quicker
        return locked(path, **more)

    monkeypatch.setattr(instance_module, "locked", slow)
    with pytest.raises(WarehouseError, match="the study paper on record"):
        see_that_it_belongs(tmp_path, study="demo")


# Runs and commands


@pytest.fixture
def micro(new_warehouse, tmp_path):
    return new_warehouse.copy(tmp_path)


def rows(micro):
    return {name: len(micro.tables.read(schema)) for name, schema in TABLES.items()}


def test_a_run_of_another_instance_writes_nothing(micro, tmp_path):
    """As Dagster's own commands do without DAGSTER_HOME, or with the user's own."""
    before = rows(micro)
    job = micro.defs.resolve_implicit_global_asset_job_def()
    for other in (dg.DagsterInstance.ephemeral(), instance_at(tmp_path / "home")):
        with other, pytest.raises(dg.DagsterError) as told:
            job.execute_in_process(
                instance=other,
                asset_selection=[dg.AssetKey(["ctd", "release"])],
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        assert "another Dagster instance" in str(told.value.__cause__)
    assert rows(micro) == before
    assert not list((micro.root / "raw").glob("*/*"))


def test_a_run_of_another_study_writes_nothing(micro, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(micro.study_file.read_text())
    micro.use(study=str(other))
    job = micro.defs.resolve_implicit_global_asset_job_def()
    with pytest.raises(dg.DagsterError) as told:
        job.execute_in_process(instance=micro.instance, asset_selection=[dg.AssetKey(["ctd", "release"])])
    assert "init --adopt" in str(told.value.__cause__)
    assert rows(micro)["ctd.release"] == 0


def test_the_sensors_of_another_instance_say_so_and_write_nothing(micro, tmp_path):
    with instance_at(tmp_path / "home") as other:
        for name in ("new_release", "study_file"):
            context = dg.build_sensor_context(
                instance=other, repository_def=micro.defs.get_repository_def(), sensor_name=name
            )
            tick = micro.defs.resolve_sensor_def(name).evaluate_tick(context)
            assert "another Dagster instance" in tick.skip_message
            assert tick.run_requests == []
            assert list(tick.asset_events) == []


@pytest.fixture
def bioalign(micro, monkeypatch):
    monkeypatch.setenv("BIOALIGN_WAREHOUSE", str(micro.root))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)

    def run(*arguments, study=micro.study_file, **environment):
        return CliRunner().invoke(cli, arguments, env={"BIOALIGN_STUDY": str(study), **environment})

    return run


@pytest.mark.parametrize("command", ["run", "demo", "refresh", "status", "dev"])
def test_every_command_refuses_another_study(bioalign, micro, command):
    with micro.instance as instance:
        before = len(instance.fetch_observations(dg.AssetKey(["study", "training"]), limit=1000).records)
        done = bioalign(command, study="demo")
        assert isinstance(done.exception, WarehouseError), done.output
        assert "init --adopt" in str(done.exception)
        after = len(instance.fetch_observations(dg.AssetKey(["study", "training"]), limit=1000).records)
    assert before == after


def test_status_writes_nothing_and_tells_what_the_study_file_changed(bioalign, micro):
    micro.make("curation.pairs[stable]")
    micro.edit_study("[datasets.stable]\n", "[datasets.stable]\nseed = 7\n")
    files = {
        path: path.stat().st_mtime_ns
        for path in micro.root.rglob("*")
        if path.suffix in {".db", ".json", ".duckdb"}
    }
    done = bioalign("status", "--stale")
    assert "study.datasets[stable]" in "".join(done.output.split())
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_status_of_a_warehouse_that_is_not_there_makes_none(bioalign, tmp_path):
    done = bioalign("status", BIOALIGN_WAREHOUSE=str(tmp_path / "nowhere"))
    assert "0 fresh, 0 stale, " in done.output
    assert not (tmp_path / "nowhere").exists()


def test_status_tells_of_rows_that_no_run_of_this_history_wrote(bioalign, micro):
    micro.make("ctd.associations")
    micro.instance.wipe_assets([dg.AssetKey(["ctd", "associations"])])
    done = bioalign("status")
    assert "ctd.associations has rows without a record" in " ".join(done.output.split())
    assert "ctd.release has rows" not in " ".join(done.output.split())


def test_init_adopts_the_instance_of_the_environment(bioalign, micro, tmp_path):
    home = tmp_path / "home"
    told = bioalign("init", DAGSTER_HOME=str(home))
    assert told.exit_code == 0, told.output
    assert dagster_home(micro.root) == micro.root / "dagster"  # not without being told to
    told = bioalign("init", "--adopt", DAGSTER_HOME=str(home))
    assert told.exit_code == 0, told.output
    assert str(home) in told.output
    assert dagster_home(micro.root) == home
    told = bioalign("init", "--adopt", study="demo")
    assert belonging_of(micro.root).study == "demo"


@pytest.mark.slow
def test_dagsters_own_command_without_a_home_is_told_what_to_do(micro):
    """The fault as it was found: tables changed, the history did not, and all counted as fresh."""
    environment = os.environ | {
        "BIOALIGN_STUDY": str(micro.study_file),
        "BIOALIGN_WAREHOUSE": str(micro.root),
    }
    environment.pop("DAGSTER_HOME", None)
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "bioalign_assets.definitions", "--select", "ctd/release"],
        env=environment, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "bioalign init --adopt" in done.stderr
    assert rows(micro)["ctd.release"] == 0
