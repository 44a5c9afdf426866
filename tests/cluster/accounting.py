"""What keeps account of a test cluster's jobs, so that `sacct` answers: slurmdbd on a MariaDB of its own."""

import shutil
import subprocess
from pathlib import Path

PROGRAMS = ("mariadbd", "mariadb-install-db", "slurmdbd")
PACKAGES = "slurmdbd mariadb-server"


def write_accounting(state: Path, host: str, port: int, database: int) -> str:
    """Make the database and write slurmdbd.conf; the lines for slurm.conf."""
    install = str(shutil.which("mariadb-install-db"))
    subprocess.run(
        [install, "--no-defaults", "--user=root", f"--datadir={state / 'mysql'}", "--skip-test-db"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    lines = f"""
AuthType=auth/munge
AuthInfo=socket={state}/munge.socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
LogFile={state}/slurmdbd.log
PidFile={state}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=root
StorageLoc=slurm
"""
    file = state / "slurmdbd.conf"
    file.touch(mode=0o600)
    file.write_text(lines)
    return f"""
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={state}/munge.socket
AccountingStorageEnforce=limits
"""


def mariadb(state: Path, port: int) -> list[str]:
    """The line that starts the database; only this machine reaches it, and it asks for no password."""
    return [
        "mariadbd", "--no-defaults", "--user=root", f"--datadir={state / 'mysql'}", "--bind-address=127.0.0.1",
        f"--port={port}", f"--socket={state / 'mysql.socket'}", "--skip-grant-tables", "--performance-schema=OFF",
        "--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900", "--innodb-flush-log-at-trx-commit=0",
    ]  # fmt: skip
