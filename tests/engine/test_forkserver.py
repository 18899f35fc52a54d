from __future__ import annotations

import os
from pathlib import Path

from airflow_rest_api.engine.forkserver import snapshot


def test_nothing_changes_while_nobody_touches_anything(tmp_path: Path):
    (tmp_path / "airflow.cfg").write_text("[core]")

    assert snapshot([str(tmp_path)]) == snapshot([str(tmp_path)])


def test_an_edited_file_changes_it(tmp_path: Path):
    file = tmp_path / "airflow.cfg"
    file.write_text("[core]")
    before = snapshot([str(file)])
    file.write_text("[core]\n")

    assert snapshot([str(file)]) != before


def test_a_file_that_appears_changes_it(tmp_path: Path):
    file = tmp_path / "airflow_local_settings.py"
    before = snapshot([str(file)])
    file.touch()

    assert snapshot([str(file)]) != before


def test_a_plugin_edited_deep_inside_the_folder_changes_it(tmp_path: Path):
    plugin = tmp_path / "plugins" / "mine" / "plugin.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text("a = 1")
    before = snapshot([str(tmp_path / "plugins")])
    plugin.write_text("a = 22")

    assert snapshot([str(tmp_path / "plugins")]) != before


def test_bytecode_written_by_an_import_does_not_change_it(tmp_path: Path):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "plugin.py").touch()
    before = snapshot([str(plugins)])
    (plugins / "__pycache__").mkdir()
    (plugins / "__pycache__" / "plugin.cpython-311.pyc").touch()

    assert snapshot([str(plugins)]) == before


def test_a_package_that_is_installed_changes_it(tmp_path: Path):
    packages = tmp_path / "site-packages"
    packages.mkdir()
    os.utime(packages, ns=(1, 1))
    before = snapshot([str(packages)])
    (packages / "provider-1.0.dist-info").mkdir()

    assert snapshot([str(packages)]) != before
