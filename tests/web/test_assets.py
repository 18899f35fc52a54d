from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from airflow_rest_api.web.assets import ASK_AGAIN, FOLDER, FOREVER, load, read

ASSETS = load()
OURS = {name: asset.content.decode() for name, asset in ASSETS.files.items() if "vendor/" not in name}
SCRIPTS = {name: text for name, text in OURS.items() if name.endswith(".js")}
VIEWS = [
    name.removeprefix("views/").removesuffix(".js")
    for name in OURS
    if re.fullmatch(r"views/[a-z-]+\.js", name)
]


def test_a_file_at_the_address_of_this_version_is_kept_for_ever():
    asset, keep = ASSETS.find(f"{ASSETS.version}/main.js") or pytest.fail("not found")

    assert (asset.name, keep) == ("main.js", FOREVER)
    assert asset.content == (FOLDER / "main.js").read_bytes()


@pytest.mark.parametrize("path", ["main.js", "v0123456789ab/main.js"])
def test_a_file_at_any_other_address_is_asked_for_again(path: str):
    asset, keep = ASSETS.find(path) or pytest.fail("not found")

    assert (asset.name, keep) == ("main.js", ASK_AGAIN)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "lib",
        "nothing.js",
        "../assets.py",
        "vendor/../main.js",
        "/etc/passwd",
        "vx/main.js",
        "vendor/README.md",
    ],
)
def test_nothing_else_is_found(path: str):
    assert ASSETS.find(path) is None


def test_the_version_changes_with_any_file(tmp_path: Path):
    (tmp_path / "a.js").write_text("1")
    (tmp_path / "b.css").write_text("2")
    (tmp_path / "c.txt").write_text("3")
    first = read(tmp_path)
    assert list(first.files) == ["a.js", "style.css"]

    (tmp_path / "b.css").write_text("22")
    second = read(tmp_path)

    assert second.version != first.version
    assert second.files["a.js"].etag == first.files["a.js"].etag
    assert second.files["style.css"].etag != first.files["style.css"].etag


REFERENCE = ("docs/", "vendor/swagger-ui", "vendor/redoc")
"""What is for the pages of the reference alone."""


def test_the_page_is_no_more_than_250_kilobytes_compressed_and_the_reference_one_megabyte():
    sizes = {name: len(gzip.compress(asset.content, 5)) for name, asset in ASSETS.files.items()}
    reference = {name: size for name, size in sizes.items() if name.startswith(REFERENCE)}
    assert sum(sizes.values()) - sum(reference.values()) < 250_000
    assert sum(reference.values()) < 1_000_000


def test_what_others_have_made_is_named_with_its_version_and_its_licence():
    vendor = FOLDER / "vendor"
    words = (vendor / "README.md").read_text()
    for name in ("preact", "htm", "swagger-ui", "redoc"):
        assert (vendor / f"LICENSE-{name}.txt").read_text().strip()
    for said in ("preact@", "htm@", "swagger-ui-dist@", "redoc@"):
        assert re.search(rf"{said}\d+\.\d+\.\d+", words), said
    for path in vendor.iterdir():
        assert f"`{path.name}`" in words or path.suffix == ".txt" or path.name == "README.md", path.name


def test_what_others_have_made_asks_nobody_else_and_starts_no_worker_from_a_blob():
    for name in ("vendor/redoc.js", "vendor/swagger-ui.js", "vendor/swagger-ui.css"):
        text = ASSETS.files[name].content.decode()
        assert not re.search(r"sourceMappingURL=(?!data:)", text)
        assert "cdn.redoc.ly" not in text
        assert not re.search(r"@import|url\(['\"]?https?:", text) or name.endswith(".js")
    redoc = ASSETS.files["vendor/redoc.js"].content.decode()
    assert "new Worker(document.body.dataset.worker" in redoc
    assert "new Worker(URL" not in redoc


def test_the_style_sheets_of_others_are_no_part_of_the_page():
    assert "swagger-ui" not in ASSETS.files["style.css"].content.decode()
    assert {"vendor/swagger-ui.css", "docs/docs.css"} <= set(ASSETS.files)


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_every_import_leads_to_a_file(name: str):
    for target in re.findall(r"""(?:from|import)\s*\(?["']([^"']+)["']""", SCRIPTS[name]):
        assert target.startswith("."), target
        path = (FOLDER / name).parent.joinpath(target).resolve()
        assert path.relative_to(FOLDER).as_posix() in ASSETS.files, target


def test_the_modules_of_a_view_are_those_that_it_imports():
    services = ASSETS.modules("services")
    assert {"main.js", "views/services.js", "views/services/list.js", "parts/basic.js"} <= set(services)
    assert {"views/commands.js", "theme.js"}.isdisjoint(services)
    assert len(services) == len(set(services))
    assert ASSETS.modules("../none") == ASSETS.modules("commands")
    assert "views/command.js" not in ASSETS.modules("commands")
    assert {"views/command.js", "lib/arguments.js"} <= set(ASSETS.modules("commands", chosen=True))
    everything = set().union(*(ASSETS.modules(view, chosen=True) for view in VIEWS))
    others = {name for name in ASSETS.files if name.startswith(REFERENCE)} | {"theme.js"}
    assert everything == {name for name in ASSETS.files if name.endswith(".js")} - others


@pytest.mark.parametrize("name", sorted(OURS))
def test_no_text_becomes_markup_and_nothing_comes_from_elsewhere(name: str):
    text = OURS[name]

    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerouslySetInnerHTML", text
    )
    assert not re.search(r"\beval\(|new Function|javascript:", text)
    # Addresses: those of specifications in comments, and the name of SVG's elements.
    addresses = re.findall(
        r"https?://[\w.-]+", re.sub(r"/\*.*?\*/|^\s*(?://|\*).*$", "", text, flags=re.S | re.M)
    )
    assert set(addresses) <= {"http://www.w3.org"}
    assert not (name.endswith(".css") and re.search(r"@import|url\(", text))


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_every_module_can_be_read_in_one_sitting(name: str):
    assert OURS[name].count("\n") <= 260
