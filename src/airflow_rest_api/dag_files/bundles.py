"""The DAG bundles of this Airflow: where files can be put, our folder there, where the others come from."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from airflow_rest_api.airflow import installation
from airflow_rest_api.dag_files.placing import FILE_MODE
from airflow_rest_api.dag_files.upload import CONTROL, clean
from airflow_rest_api.disk_full import no_room
from airflow_rest_api.errors import ApiError, BadFolder, BundleNotWritable, NoSpace, UnknownBundle
from airflow_rest_api.plain_files import open_folder

DAGS_FOLDER = "dags-folder"
"""What Airflow calls the bundle that is there without any configuration."""

IGNORE_FILE = ".airflowignore"
IGNORE = "[!!]*\n"
"""
Matches every name of ours in both syntaxes of an `.airflowignore` (`[core] dag_ignore_file_syntax`): as a
glob those that do not begin with an exclamation mark, as a regular expression all.

Airflow goes through hidden folders like any other (``airflow._shared.module_loading.file_discovery``).
"""

_CLOSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@dataclass(frozen=True)
class BundleInfo:
    """
    A DAG bundle.

    :ivar kind: `local`, `git`, `s3`, `gcs`, or the class of another
    :ivar root: the folder of a local one, as configured; None for all others
    :ivar reason: a sentence that says why files cannot be put there, None where they can
    """

    name: str
    kind: str
    root: Path | None
    writable: bool
    reason: str | None


@dataclass(frozen=True)
class BundleFolder:
    """
    A folder of a bundle that files can be put into; it need not exist yet.

    :ivar root: the folder of the bundle, without symbolic links; it need not exist either
    :ivar folder: relative to the root, with slashes; empty for the root itself
    """

    bundle: BundleInfo
    root: Path
    folder: str


def bundles() -> list[BundleInfo]:
    """
    Return the bundles in the order of the configuration. Blocks: not for an event loop.

    :raises BadConfiguration: the configuration of the bundles cannot be read
    """
    return [_info(bundle) for bundle in installation.configured_bundles()]


def named(name: str | None) -> BundleInfo:
    """
    Return a bundle, whether files can be put into it or not.

    :param name: None for the only one that files can be put into, or the one called `dags-folder`
    :raises UnknownBundle: no such bundle, or several among which none is the default
    """
    found = {bundle.name: bundle for bundle in bundles()}
    if name is not None:
        if name not in found:
            raise UnknownBundle(f"There is no bundle {name[:200]!r}.")
        return found[name]
    writable = [bundle for bundle in found.values() if bundle.writable]
    if len(writable) == 1:
        return writable[0]
    if DAGS_FOLDER in found:
        return found[DAGS_FOLDER]
    if len(found) == 1:
        return next(iter(found.values()))
    if not writable:
        raise UnknownBundle("This Airflow has no bundle that files can be put into.")
    names = ", ".join(bundle.name for bundle in writable)
    raise UnknownBundle(f"Say which bundle: one of {names}.")


def resolve(bundle: str | None, folder: str = "") -> BundleFolder:
    """
    Return the place in a bundle that a client names.

    :param bundle: its name, None for the default: see `named`
    :param folder: relative to the bundle, with slashes; empty for the bundle itself
    :raises UnknownBundle: no such bundle, or several among which none is the default
    :raises BundleNotWritable: its files come from elsewhere, or the folder cannot be written on this host,
        nor made there by a deployment: see `can_make`
    :raises BadPath: not a relative path inside the bundle
    :raises BadFolder: a file, closed to us, or there is a symbolic link in it
    """
    info = named(bundle)
    if not info.writable or info.root is None:
        raise BundleNotWritable(
            f"Nothing can be put into the bundle {info.name!r}: {info.reason}",
            argument="bundle",
            bundle=info.name,
            kind=info.kind,
        )
    root = Path(os.path.realpath(info.root))
    relative = clean(folder, "folder", folder=True) if folder else ""
    path = Path(os.path.realpath(root / relative))
    if path != root / relative:
        # Through a link the same file would have two names, or be outside.
        raise BadFolder(folder, "has a symbolic link in it")
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            raise BadFolder(folder, "is a file")
    except (FileNotFoundError, NotADirectoryError):
        pass  # It need not exist yet.
    except OSError as error:
        raise BadFolder(folder, f"cannot be looked into on this host ({error.strerror})") from None
    return BundleFolder(info, root, relative)


def _info(bundle: installation.BundleConfig) -> BundleInfo:
    if bundle.classpath == installation.LOCAL:
        root = installation.bundle_folder(bundle)
        examples = bundle.name == installation.EXAMPLES
        reason = "it has Airflow's own examples." if examples else _unwritable(root)
        return BundleInfo(bundle.name, "local", root, reason is None, reason)
    for ending, kind, origin in _REMOTE:
        if bundle.classpath.endswith(f".{ending}"):
            reason = f"{origin(bundle.kwargs)}. Change them there."
            return BundleInfo(bundle.name, kind, None, False, reason)
    kind = bundle.classpath.rpartition(".")[2]
    return BundleInfo(
        bundle.name, kind, None, False, f"only {bundle.classpath} knows where its files come from."
    )


def can_make(root: Path) -> bool:
    """
    Return whether a bundle's folder that is missing is made with the first file that is put into it.

    So it is where the folder above belongs to the user of this process, as AIRFLOW_HOME does, in which a new
    Airflow has no `dags` yet. Anywhere else something may be missing that no files must be put in the place
    of, such as a file system that is not mounted. The path must have no symbolic links.
    """
    try:
        above = root.parent.stat()
    except OSError:
        return False
    return (
        not os.path.lexists(root)
        and stat.S_ISDIR(above.st_mode)
        and above.st_uid == os.geteuid()
        and os.access(root.parent, os.W_OK | os.X_OK)
    )


@contextlib.contextmanager
def control_folder(root: Path) -> Iterator[Path]:
    """
    Have our folder in a bundle by a path: see `open_folder`. It is made where there is none, with the bundle.

    :raises BundleNotWritable, NoSpace: the bundle is closed to us, or the folder is a link
    """
    with contextlib.ExitStack() as held:
        try:
            if can_make(root):
                root.mkdir(exist_ok=True)
                like(root, root.parent)
            with contextlib.suppress(FileExistsError):
                (root / CONTROL).mkdir()
            folder = held.enter_context(open_folder(root / CONTROL))
            if _lacks_ignore(folder):
                like(folder, root)
                # Before anything else comes into it.
                _write_ignore(folder)
        except NotADirectoryError:
            # Who may write to the bundle can put a link there, to a folder that is none of ours.
            raise BundleNotWritable(
                f"{CONTROL} in the bundle is no folder, and needs an administrator. Nothing has changed."
            ) from None
        except OSError as error:
            raise cannot_write(error) from error
        yield folder


def _lacks_ignore(folder: Path) -> bool:
    try:
        status = (folder / IGNORE_FILE).lstat()
    except FileNotFoundError:
        return True
    # A full disk takes the name of a file and nothing in it: Airflow would look for DAGs in our folder.
    return stat.S_ISREG(status.st_mode) and not status.st_size


def _write_ignore(folder: Path) -> None:
    """Put the file there as a whole, or not at all."""
    descriptor, draft = tempfile.mkstemp(prefix=f"{IGNORE_FILE}.", dir=folder)
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(file.fileno(), FILE_MODE)
            file.write(IGNORE)
        os.rename(draft, folder / IGNORE_FILE)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def cannot_write(error: OSError) -> ApiError:
    """Return the error where the file system refuses a change; nothing has changed."""
    if no_room(error):
        return NoSpace("There is no room left for the files. Nothing has changed.")
    why = "The API server may not write there" if error.errno in _CLOSED else "The files cannot be written"
    return BundleNotWritable(f"{why} ({error.strerror}). Nothing has changed.")


def like(folder: Path, other: Path) -> None:
    """Give a new folder the mode and the group of another."""
    status = other.stat()
    with contextlib.suppress(OSError):
        os.chown(folder, -1, status.st_gid)
    with contextlib.suppress(OSError):
        os.chmod(folder, stat.S_IMODE(status.st_mode))


def effective_user() -> str:
    """Return the name and the number of the user as whom this process writes."""
    number = os.geteuid()
    try:
        return f"{pwd.getpwuid(number).pw_name}, uid {number}"
    except KeyError:
        return f"uid {number}"


def _unwritable(root: Path) -> str | None:
    # Not the method of the path, which raises where a folder above is closed to us: no bundle would be left.
    if os.path.isdir(root):
        return None if os.access(root, os.W_OK | os.X_OK) else "its folder cannot be written on this host."
    if can_make(Path(os.path.realpath(root))):
        return None
    try:
        os.lstat(root)
        what = "is no folder"
    except (FileNotFoundError, NotADirectoryError):
        what = "does not exist on this host"
    except OSError as error:
        what = f"cannot be reached on this host ({error.strerror})"
    return (
        f"its folder {root} {what}. Make it there, writable for the user of the API server "
        f"({effective_user()}), and readable for the DAG processor."
    )


def _git(kwargs: Mapping[str, Any]) -> str:
    url, connection = kwargs.get("repo_url"), kwargs.get("git_conn_id") or "git_default"
    where = _without_credentials(str(url)) if url else f"of the connection {connection}"
    branch = f", {kwargs['tracking_ref']}" if kwargs.get("tracking_ref") else ""
    return f"its files come from the Git repository {where}{branch}"


def _bucket(scheme: str, kwargs: Mapping[str, Any]) -> str:
    prefix = str(kwargs.get("prefix") or "").strip("/")
    return f"its files come from the bucket {scheme}://{kwargs.get('bucket_name')}/{prefix}"


# The classes of the providers git, amazon and google, and what their arguments say about the origin.
_REMOTE: tuple[tuple[str, str, Callable[[Mapping[str, Any]], str]], ...] = (
    ("GitDagBundle", "git", _git),
    ("S3DagBundle", "s3", partial(_bucket, "s3")),
    ("GCSDagBundle", "gcs", partial(_bucket, "gs")),
)


def _without_credentials(url: str) -> str:
    """Return a URL without user, password, query and fragment, any of which can carry a token."""
    parts = urlsplit(url)
    if not parts.scheme or not parts.netloc:
        # As `git@host:owner/repository.git`: the part before the sign is a user, without a password.
        return url.rpartition("@")[2].partition("?")[0].partition("#")[0]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
