"""What the environment says."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from bioalign_assets import settings as settings_module
from bioalign_assets.errors import StudyError
from bioalign_assets.settings import PROJECT_ROOT, Settings

_NAMES = (
    "BIOALIGN_STUDY",
    "BIOALIGN_WAREHOUSE",
    "BIOALIGN_CTD_SOURCE",
    "BIOALIGN_CTD_DISEASES_SOURCE",
    "HF_TOKEN",
)


def test_nothing_set_gives_the_demo_in_the_checkout():
    found = Settings.from_environment({})
    assert found == Settings(study="demo", warehouse=PROJECT_ROOT / "data_warehouse")
    assert found.ctd_source is found.ctd_diseases_source is found.hf_token is None


def test_an_empty_variable_counts_as_not_set():
    assert Settings.from_environment(dict.fromkeys(_NAMES, "")) == Settings.from_environment({})


def test_everything_set_is_taken(tmp_path):
    found = Settings.from_environment(
        {
            "BIOALIGN_STUDY": "paper",
            "BIOALIGN_WAREHOUSE": str(tmp_path),
            "BIOALIGN_CTD_SOURCE": "https://example.org/x.csv.gz",
            "BIOALIGN_CTD_DISEASES_SOURCE": "demo",
            "HF_TOKEN": "hf_secret",
        }
    )
    assert found.study == "paper"
    assert found.warehouse == tmp_path
    assert found.ctd_source == "https://example.org/x.csv.gz"
    assert found.ctd_diseases_source == "demo"
    assert found.hf_token.get_secret_value() == "hf_secret"


def test_the_processes_own_environment_is_the_default(monkeypatch):
    monkeypatch.setenv("BIOALIGN_STUDY", "paper")
    assert Settings.from_environment().study == "paper"
    monkeypatch.delenv("BIOALIGN_STUDY")
    assert Settings.from_environment().study == "demo"


def test_the_warehouse_is_absolute_and_knows_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Settings.from_environment({"BIOALIGN_WAREHOUSE": "w/x"}).warehouse == tmp_path / "w" / "x"
    assert Settings.from_environment({"BIOALIGN_WAREHOUSE": "~/w"}).warehouse == tmp_path / "home" / "w"


def test_an_installed_package_keeps_its_warehouse_in_the_working_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(settings_module, "PROJECT_ROOT", tmp_path / "site-packages")
    monkeypatch.chdir(tmp_path)
    assert Settings.from_environment({}).warehouse == tmp_path / "data_warehouse"


@pytest.mark.parametrize("url", ["s3://bucket/w", "gs://bucket/w", "az://c/w", "file:///tmp/w"])
def test_an_object_store_is_refused_before_anything_is_made(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError, match="not supported yet") as error:
        Settings.from_environment({"BIOALIGN_WAREHOUSE": url})
    assert url in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_the_token_is_not_shown():
    found = Settings.from_environment({"HF_TOKEN": "hf_secret"})
    assert "hf_secret" not in repr(found)
    source = Settings.from_environment({"BIOALIGN_CTD_SOURCE": "https://u:pw@host/x"})
    assert source.ctd_source == "https://u:pw@host/x"
    assert "pw" not in repr(source)
    assert "hf_secret" not in found.model_dump_json()


def test_settings_are_frozen_and_known(tmp_path):
    found = Settings(warehouse=tmp_path)
    with pytest.raises(ValidationError):
        found.study = "paper"
    with pytest.raises(ValidationError):
        Settings(warehouse=tmp_path, other=1)


def test_no_other_module_reads_our_variables():
    package = Path(settings_module.__file__).parent
    readers = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if path.name != "settings.py" and any(f'environ.get("{n}"' in path.read_text() for n in _NAMES)
    ]
    assert readers == []
