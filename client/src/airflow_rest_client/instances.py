"""The Airflows that a user knows: one file in the configuration folder, or the environment."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_rest_client.credentials import HEADER, Credentials

HOME = "AIRFLOW_REST_HOME"
"""Names a folder for the file and the cache, in place of the user's own."""
URL = "AIRFLOW_REST_URL"
TOKEN = "AIRFLOW_REST_TOKEN"
USER = "AIRFLOW_REST_USER"
PASSWORD = "AIRFLOW_REST_PASSWORD"
PROVIDER = "AIRFLOW_REST_PROVIDER"
HEADER_TOKEN = "AIRFLOW_REST_HEADER_TOKEN"
INSTANCE = "AIRFLOW_REST_INSTANCE"
VARIABLES: Mapping[str, str] = {
    URL: "the API server; with it nothing of the file is used",
    TOKEN: "a token of Airflow's",
    USER: "with the password, in place of a token",
    PASSWORD: "of the user",
    PROVIDER: "`db` or `ldap`, where Flask-AppBuilder verifies the password",
    HEADER_TOKEN: "the shared token, where the site asks for one",
    INSTANCE: "the instance to use, as `--instance`",
    HOME: "a folder for the file of the instances and the cache",
}
"""All that is read from the environment."""

SECRETS = ("token", "refresh_token", "header_token")
KEYRING = "airflow-rest"
LOCKED_FOR = 5.0
"""Seconds after which the lock of another process is taken for one that it has left behind."""


class UnknownInstance(Exception):
    """No instance is called so, or there is none at all; the message says what to do."""


@dataclass
class Instance:
    """
    An Airflow and who asks there.

    :ivar name: None where it is the environment's
    :ivar keyring: its secrets are in the keyring of the system, and not in the file
    :ivar signed_out: its secrets are forgotten, also where the keyring did not answer and still has them
    """

    name: str | None
    url: str
    username: str | None = None
    token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    header_token: str | None = field(default=None, repr=False)
    header_name: str = HEADER
    provider: str = "db"
    keyring: bool = False
    signed_out: bool = False
    password: str | None = field(default=None, repr=False)
    """Of the environment; it is never kept."""

    @property
    def signed_in(self) -> bool:
        """Whether it has secrets, as far as the file says: a keyring is not asked."""
        return not self.signed_out and bool(self.token or self.header_token or self.keyring)

    def credentials(self, store: Instances) -> Credentials:
        """Return what says who asks; a new token is kept."""

        def keep(changed: Credentials) -> None:
            self.token, self.refresh_token = changed.token, changed.refresh_token
            if self.name is not None:
                # Without a place to write, as in a container, it is had again the next time.
                with suppress(OSError, UnknownInstance):
                    store.renew(self)

        return Credentials(
            self.token,
            self.refresh_token,
            self.username,
            self.password,
            self.provider,
            self.header_token,
            self.header_name,
            keep,
        )


def _home(variable: str, below: str) -> Path:
    if own := os.environ.get(HOME):
        return Path(own)
    if sys.platform == "win32":
        variable, below = "APPDATA", "AppData/Roaming"
    if not (folder := os.environ.get(variable)):
        try:
            folder = str(Path.home() / below)
        except RuntimeError:
            # As in a container whose user has no name: nothing is found there, and nothing can be kept.
            folder = "/nonexistent"
    return Path(folder) / "airflow-rest"


def configuration_folder() -> Path:
    """Return where the file is."""
    return _home("XDG_CONFIG_HOME", ".config")


def cache_folder() -> Path:
    """Return where what can be had again is kept."""
    return _home("XDG_CACHE_HOME", ".cache")


def write_privately(path: Path, text: str) -> None:
    """Write a file that only its user can read, whole or not at all."""
    import tempfile

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class Instances:
    """The instances in the file: `instances.json`, mode 0600."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or configuration_folder() / "instances.json"

    def all(self) -> tuple[dict[str, Instance], str | None]:
        """Return the instances by name, without what is in a keyring, and the name of the default one."""
        kept = self._read()
        found = {name: _instance(name, one) for name, one in kept.get("instances", {}).items()}
        return found, kept.get("default")

    def get(self, name: str | None = None) -> Instance:
        """
        Return an instance, or the default one; the environment goes before.

        :raises UnknownInstance: there is none, it has no good address, or its secrets are in a keyring that
            does not give them out
        """
        from airflow_rest_client.exchanges import address

        instance = self._chosen(name)
        try:
            address(instance.url)
        except ValueError as error:
            raise UnknownInstance(f"{self.path}, {instance.name}: {error}") from None
        if instance.keyring and not instance.signed_out:
            with _keyring() as keyring:
                kept = json.loads(keyring.get_password(KEYRING, instance.name) or "{}")
                for key in SECRETS:
                    setattr(instance, key, kept.get(key))
        return instance

    def _chosen(self, name: str | None) -> Instance:
        """Return an instance without what is in a keyring; raise UnknownInstance."""
        if name is None and (url := os.environ.get(URL)):
            return _of_environment(url)
        if name is None:
            name = os.environ.get(INSTANCE) or None
        found, default = self.all()
        if not found:
            raise UnknownInstance("No Airflow is known here yet. Sign in: airflow-rest login <URL>")
        wanted = default if name is None else name
        if wanted is None or wanted not in found:
            known = ", ".join(found)
            which = "to use by default" if wanted is None else repr(wanted)
            raise UnknownInstance(f"There is no instance {which}. There are: {known}")
        return found[wanted]

    def save(self, instance: Instance, *, default: bool = False) -> bool:
        """
        Keep an instance; the first one is the default.

        :return: False where the keyring still has secrets of it that were to be forgotten
        :raises UnknownInstance: its secrets are to be in a keyring that does not take them
        """
        assert instance.name is not None
        with self._alone():
            return self._save(instance, default=default)

    def renew(self, instance: Instance) -> None:
        """
        Keep the new token of an instance, unless somebody has signed out meanwhile, or in as another one.

        :raises UnknownInstance: it is gone, or its keyring is not to be had
        """
        assert instance.name is not None
        with self._alone():
            kept = self.get(instance.name)
            if kept.token and (kept.url, kept.username) == (instance.url, instance.username):
                kept.token, kept.refresh_token = instance.token, instance.refresh_token
                self._save(kept)

    def _save(self, instance: Instance, *, default: bool = False) -> bool:
        assert instance.name is not None
        said = {name: getattr(instance, name) for name in Instance.__dataclass_fields__ if name != "name"}
        del said["password"]
        if instance.keyring:
            secrets = {name: said.pop(name) for name in SECRETS}
            if not instance.signed_out:
                with _keyring() as keyring:
                    keyring.set_password(KEYRING, instance.name, json.dumps(secrets))
        kept = self._read()
        known = kept.setdefault("instances", {})
        left = known.get(instance.name, {}).get("keyring") and not (instance.keyring and instance.signed_in)
        known[instance.name] = {name: value for name, value in said.items() if value}
        if default or kept.get("default") not in known:
            kept["default"] = instance.name
        self._write(kept)
        return not left or self._forget_secrets(instance.name)

    def set_default(self, name: str) -> None:
        """Make an instance the default one; raise UnknownInstance."""
        with self._alone():
            self._chosen(name)
            self._write({**self._read(), "default": name})

    def remove(self, name: str) -> bool:
        """
        Forget an instance.

        :return: False where the keyring still has its secrets
        :raises UnknownInstance: there is none
        """
        with self._alone():
            instance = self._chosen(name)
            kept = self._read()
            del kept["instances"][name]
            if kept.get("default") == name:
                kept["default"] = next(iter(kept["instances"]), None)
            self._write(kept)
            return not instance.keyring or self._forget_secrets(name)

    def sign_out(self, name: str | None) -> tuple[Instance, bool]:
        """
        Forget the tokens of an instance.

        :return: the instance, and False where the keyring still has its secrets
        :raises UnknownInstance: there is none
        """
        with self._alone():
            instance = self._chosen(name)
            if instance.name is None:
                raise UnknownInstance(f"{URL} names the server: take it out of the environment to sign out.")
            instance.token = instance.refresh_token = instance.header_token = None
            # Where the next ones are kept stays as it was asked for.
            instance.signed_out = True
            return instance, self._save(instance)

    def _forget_secrets(self, name: str) -> bool:
        """Take the secrets of an instance out of the keyring; return whether they are gone."""
        try:
            with _keyring() as keyring:
                # Of what is not there, it would say that it cannot be deleted.
                if keyring.get_password(KEYRING, name) is not None:
                    keyring.delete_password(KEYRING, name)
        except UnknownInstance:
            return False
        return True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process at a time change the file; one that was killed holds nobody up for long."""
        lock = self.path.with_suffix(".lock")
        lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        until = time.monotonic() + LOCKED_FOR
        while True:
            try:
                os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
                break
            except FileExistsError:
                if time.monotonic() > until:
                    break
                time.sleep(0.01)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except ValueError:
            kept = None
        if not _is_sound(kept):
            message = f"{self.path} is damaged: mend it, or remove it and sign in again."
            raise UnknownInstance(message)
        return dict(kept)

    def _write(self, kept: Mapping[str, Any]) -> None:
        write_privately(self.path, json.dumps(kept, indent=2) + "\n")


def _is_sound(kept: Any) -> bool:
    """Return whether what a file says can be what was written into it."""
    if not isinstance(kept, dict) or not isinstance(kept.get("default", ""), (str, type(None))):
        return False
    instances = kept.get("instances", {})
    return isinstance(instances, dict) and all(
        isinstance(one, dict) and isinstance(one.get("url"), str) and all(map(_is_value, one.items()))
        for one in instances.values()
    )


def _is_value(member: tuple[str, Any]) -> bool:
    """Return whether a member of an instance has a value that it can have; one that is not known has any."""
    name, value = member
    kind = bool if name in ("keyring", "signed_out") else str
    return value is None or name not in Instance.__dataclass_fields__ or isinstance(value, kind)


def _instance(name: str, kept: Mapping[str, Any]) -> Instance:
    known = {key: value for key, value in kept.items() if key in Instance.__dataclass_fields__}
    return Instance(**{**known, "name": name})


def _of_environment(url: str) -> Instance:
    from airflow_rest_client.exchanges import address

    try:
        url = address(url)
    except ValueError as error:
        raise UnknownInstance(f"{URL}: {error}") from None
    return Instance(
        None,
        url,
        username=os.environ.get(USER),
        password=os.environ.get(PASSWORD),
        token=os.environ.get(TOKEN),
        header_token=os.environ.get(HEADER_TOKEN),
        provider=os.environ.get(PROVIDER) or "db",
    )


@contextmanager
def _keyring() -> Iterator[Any]:
    """Give the keyring of the system; raise UnknownInstance where there is none, or it does not answer."""
    try:
        import keyring
    except ImportError:
        raise UnknownInstance(
            "The keyring is not installed: pip install 'airflow-rest-api-client[keyring]'"
        ) from None
    try:
        yield keyring
    except Exception as error:
        # Each of its backends has exceptions of its own, such as for one that is locked.
        said = f"The keyring of the system cannot be used: {error or type(error).__name__}"
        raise UnknownInstance(f"{said} (login --no-keyring keeps the tokens in a file)") from error
