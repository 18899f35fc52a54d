from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from airflow_rest_api import __version__
from tools.dist import build_zip

# Asks Airflow in a process of its own, as if this environment's editable install were not there.
LOADED = """
import importlib.metadata, json, sys
from pathlib import Path
import importlib_metadata
folder, source = sys.argv[1:]
sys.path[:] = [entry for entry in sys.path if entry != source]
def others(distributions):
    return lambda: (one for one in distributions() if one.metadata["Name"] != "airflow-rest-api-plugin")
for module in (importlib.metadata, importlib_metadata):
    module.distributions = others(module.distributions)
import airflow.plugins_manager as manager
manager._load_entrypoint_plugins = lambda: ([], {})
plugins, errors = manager._get_plugins()
files = {name: getattr(module, "__file__", None) or "" for name, module in list(sys.modules.items())}
print(json.dumps({
    "plugins": [[plugin.name, str(plugin.source)] for plugin in plugins],
    "errors": errors,
    "modules": sorted(name for name, file in files.items() if Path(folder) in Path(file).parents),
}))
"""
SOURCE = Path(__file__).resolve().parents[2] / "src"


def names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_the_zip_is_named_after_the_version(plugins_zip: Path) -> None:
    assert plugins_zip.name == f"airflow-rest-api-plugin-{__version__}.zip"


def test_nothing_at_the_top_but_the_plugin_and_its_package(plugins_zip: Path) -> None:
    assert {name.split("/")[0] for name in names(plugins_zip)} == {"rest_api_plugin.py", "airflow_rest_api"}


def test_it_holds_every_module_and_data_file_of_the_package(plugins_zip: Path) -> None:
    files = {
        path.relative_to(SOURCE).as_posix()
        for path in (SOURCE / "airflow_rest_api").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files <= set(names(plugins_zip))


def test_the_wheel_has_the_module_that_airflow_derives_from_its_name(wheel: Path) -> None:
    top = {name.split("/")[0] for name in names(wheel)}
    assert {name for name in top if not name.endswith(".dist-info")} == {
        "airflow_rest_api",
        "airflow_rest_api_plugin",
    }


def test_the_same_source_gives_the_same_bytes(wheel: Path, plugins_zip: Path, tmp_path: Path) -> None:
    assert build_zip(wheel, tmp_path).read_bytes() == plugins_zip.read_bytes()


@pytest.mark.airflow
@pytest.mark.parametrize("syntax", ["glob", "regexp"])
def test_airflow_loads_one_plugin_from_it_and_parses_no_other_file(
    plugins_zip: Path, tmp_path: Path, syntax: str
) -> None:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / ".airflowignore").write_text("mine\n")
    with zipfile.ZipFile(plugins_zip) as archive:
        archive.extractall(plugins)
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX": syntax,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    command = [sys.executable, "-c", LOADED, str(plugins), str(SOURCE)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["errors"] == {}
    assert found["plugins"] == [["rest_api", "$PLUGINS_FOLDER/rest_api_plugin.py"]]
    # A file that Airflow took for a plugin would be there under its bare name.
    assert "airflow_rest_api.plugin" in found["modules"]
    assert {name.split(".")[0] for name in found["modules"]} == {"rest_api_plugin", "airflow_rest_api"}
    assert (plugins / ".airflowignore").read_text() == "mine\n"
