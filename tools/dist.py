"""Build the wheels of plugin and client, and the zip for Airflow's plugins folder, into dist/.

Airflow imports every Python file below its plugins folder. So the zip has one small module at the top, and
the package beside it brings an .airflowignore that hides it from that search: nothing at the top of the
folder, such as an .airflowignore of the user, is touched. Python still finds the package, as the folder is on
its path.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parent.parent
CLIENT = ROOT / "client"
TEMPLATE = ROOT / "tools" / "plugins_folder"
PACKAGE = "airflow_rest_api"
# The earliest date a zip can hold: the same source gives the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


def main(target: Path = ROOT / "dist") -> int:
    """Build all of them and print their paths."""
    wheel = build_wheel(target)
    print(wheel)
    print(build_zip(wheel, target))
    print(build_wheel(target, CLIENT))
    return 0


def build_wheel(target: Path, source: Path = ROOT) -> Path:
    """Build the wheel of a distribution and return its path."""
    return Path(next(WheelBuilder(str(source)).build(directory=str(target), versions=["standard"])))


def build_zip(wheel: Path, target: Path) -> Path:
    """Make the plugins-folder zip from the package in `wheel` and return its path."""
    version = wheel.name.split("-")[1]
    path = target / f"airflow-rest-api-plugin-{version}.zip"
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(path, "w") as archive:
        contents = {name: source.read(name) for name in source.namelist() if name.startswith(f"{PACKAGE}/")}
        contents["rest_api_plugin.py"] = (TEMPLATE / "rest_api_plugin.py").read_bytes()
        contents[f"{PACKAGE}/.airflowignore"] = (TEMPLATE / "airflowignore").read_bytes()
        contents[f"{PACKAGE}/LICENSE"] = (ROOT / "LICENSE").read_bytes()
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, contents[name])
    return path


if __name__ == "__main__":
    sys.exit(main())
