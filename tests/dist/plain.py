"""An environment with Airflow and without us, in which the wheel or the zip is installed as the README says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

OURS = "airflow_rest_api"
SCRIPTS = ("airflow", "pip")


def environment(folder: Path) -> Path:
    """
    Make a virtual environment with everything that is installed in that of the tests, but the plugin.

    Every package is a link to that of the tests, so that it takes a second and no room.

    :return: the folder of its programs
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=120)
    here = Path(sysconfig.get_paths()["purelib"])
    there = next((folder / "lib").glob("python3*")) / "site-packages"
    for entry in here.iterdir():
        # A path file of an editable install would lead to our source.
        if not entry.name.startswith(OURS) and entry.suffix != ".pth" and entry.name != "__pycache__":
            (there / entry.name).symlink_to(entry)
    programs = folder / "bin"
    for name in SCRIPTS:
        script = Path(sys.executable).with_name(name).read_text()
        (programs / name).write_text(script.replace(str(Path(sys.executable).parent), str(programs)))
        shutil.copymode(Path(sys.executable).with_name(name), programs / name)
    return programs


def variables(programs: Path, home: Path) -> dict[str, str]:
    """Return the variables of a shell in which the environment is active and nothing is configured."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "PYTHON")) and "proxy" not in name.lower()
    }
    return {
        **kept,
        "PATH": os.pathsep.join((str(programs), os.environ.get("PATH", os.defpath))),
        "VIRTUAL_ENV": str(programs.parent),
        "AIRFLOW_HOME": str(home),
        "NO_PROXY": "localhost,127.0.0.1",
    }
