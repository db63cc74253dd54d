"""The TPM's resource manager in user space, tpm2-abrmd, before a TPM of the tests: the real daemon on a bus of its own.

Rules of this file: nothing of the machine's own bus is touched; bus and daemon end with the `with`. The bus starts the
daemon when the first program asks for it, so that nobody waits for it. GLib ends a process whose bus is gone: only
processes of their own go through the broker.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.swtpm import TIMEOUT_S, Swtpm

TCTI = "tabrmd:bus_type=session"
_NAME = "com.intel.tss2.Tabrmd"
_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={folder}/bus</listen>
  <servicedir>{folder}</servicedir>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
"""


def lacking() -> str:
    """The programs that this machine has not, with commas; empty when nothing is missing."""
    return ", ".join(name for name in ("dbus-daemon", "tpm2-abrmd") if shutil.which(name) is None)


@contextmanager
def broker(tpm: Swtpm, folder: Path) -> Iterator[dict[str, str]]:
    """The environment by which programs find the broker at `TCTI`; it has the TPM for itself while it runs."""
    folder.mkdir(parents=True)
    started = folder / "pid"
    daemon = f"tpm2-abrmd --session --allow-root --tcti={tpm.tcti}"
    starter = folder / "start"
    starter.write_text(f"#!/bin/sh\necho $$ > {started}\nexec {daemon}\n", encoding="ascii")
    starter.chmod(0o755)
    (folder / f"{_NAME}.service").write_text(f"[D-BUS Service]\nName={_NAME}\nExec={starter}\n", encoding="ascii")
    configuration = folder / "bus.conf"
    configuration.write_text(_BUS.format(folder=folder), encoding="ascii")
    # With --fork it returns when the bus listens.
    argv = ["dbus-daemon", f"--config-file={configuration}", "--fork", "--print-pid", "--nopidfile"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=TIMEOUT_S)
    try:
        yield {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder}/bus"}
    finally:
        if started.is_file():
            os.kill(int(started.read_text(encoding="ascii")), signal.SIGTERM)
        os.kill(int(done.stdout), signal.SIGTERM)
