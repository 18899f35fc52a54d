"""A Kerberos key distribution centre of the tests' own: own realm, own port, in a folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import TracebackType

from demo.ports import free_port
from tests.legacy.components import answers, eventually
from tests.servers import require_program

REALM = "AIRFLOW.TEST"

# MIT Kerberos: https://web.mit.edu/kerberos/krb5-latest/doc/admin/conf_files/
KRB5_CONF = """
[libdefaults]
    default_realm = {realm}
    dns_lookup_realm = false
    dns_lookup_kdc = false
    rdns = false
[realms]
    {realm} = {{
        kdc = 127.0.0.1:{port}
    }}
"""
KDC_CONF = """
[kdcdefaults]
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
[realms]
    {realm} = {{
        database_name = {folder}/principal
        key_stash_file = {folder}/stash
        max_renewable_life = 7d
    }}
[logging]
    kdc = FILE:{folder}/kdc.log
"""


class Kdc:
    """Runs the centre; `principal` can get tickets with `keytab`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.principal = f"airflow/tests@{REALM}"
        self.keytab = folder / "airflow.keytab"
        # Also what a client needs.
        self.environment = {
            "KRB5_CONFIG": str(folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
        }

    def __enter__(self) -> Kdc:
        utility = require_program("kdb5_util", "krb5-kdc")
        server = require_program("krb5kdc", "krb5-kdc")
        kadmin = require_program("kadmin.local", "krb5-admin-server")
        self.folder.mkdir(exist_ok=True)
        port = free_port()
        values = {"realm": REALM, "port": port, "folder": self.folder}
        (self.folder / "krb5.conf").write_text(KRB5_CONF.format(**values))
        (self.folder / "kdc.conf").write_text(KDC_CONF.format(**values))
        self.run(utility, "create", "-s", "-P", "of no importance")
        self.run(kadmin, "addprinc", "-randkey", self.principal)
        self.run(kadmin, "ktadd", "-k", str(self.keytab), self.principal)
        self._server = subprocess.Popen([server, "-n"], env=os.environ | self.environment)
        if not eventually(lambda: answers(port), 60):
            self.__exit__(None, None, None)
            raise RuntimeError((self.folder / "kdc.log").read_text())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.terminate()
        self._server.wait(60)

    def run(self, *command: str) -> str:
        """Run a program of Kerberos and return what it prints; it must succeed."""
        done = subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def tickets(self, cache: Path) -> str:
        """Return what klist says of a credentials cache."""
        return self.run(require_program("klist", "krb5-user"), "-c", str(cache))
