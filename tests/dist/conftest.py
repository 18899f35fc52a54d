from __future__ import annotations

from pathlib import Path

import pytest

from tools.dist import build_wheel, build_zip


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def plugins_zip(wheel: Path) -> Path:
    return build_zip(wheel, wheel.parent)
