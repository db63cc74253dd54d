"""The servers of the lab: their configuration files and how they are started. Real programs, on
test addresses.

Everything they serve is written here, so that no file of the recording machine ends up in a capture.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from tests.traffic.lab import Lab

NGINX_CONF = """daemon off; worker_processes 1; pid {scratch}/nginx.pid; error_log stderr warn; user root;
events {{ worker_connections 64; }}
http {{
  access_log off; server_tokens on; default_type text/plain; charset utf-8; keepalive_timeout 5;
  client_body_temp_path {scratch}/t1; proxy_temp_path {scratch}/t2; fastcgi_temp_path {scratch}/t3;
  uwsgi_temp_path {scratch}/t4; scgi_temp_path {scratch}/t5;
  types {{ text/html html; application/octet-stream exe bin; application/json json; }}
  gzip on; gzip_types text/plain application/json application/octet-stream; gzip_min_length 200;
  server {{
    listen 80; listen [::]:80; root {scratch}/www; merge_slashes off;
    location = /form {{ return 200 "thank you\\n"; }}
    location = /login {{ return 401 "wrong password\\n"; }}
    location = /item {{ default_type text/html; return 200 "<html><body>item $arg_id</body></html>\\n"; }}
    location = /uploads/img.php {{
      default_type text/html; alias {scratch}/www/shell-output.txt; error_page 405 =200 $uri;
    }}
    location /plain/ {{ gzip off; }}
  }}
}}
"""

UNBOUND_CONF = """server:
  interface: {address}
  access-control: 0.0.0.0/0 allow
  chroot: ""
  username: ""
  directory: "{scratch}"
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  edns-buffer-size: 4096
  max-udp-size: 4096
  module-config: "iterator"
  do-not-query-localhost: no
  hide-identity: yes
  hide-version: yes
  local-zone: "." static
  local-data: ". 60 IN SOA ns.example. root.example. 1 60 60 60 60"
{data}
"""

SMB_CONF = """[global]
  netbios name = FILES
  workgroup = HOME
  server role = standalone server
  map to guest = Bad User
  guest account = root
  disable netbios = yes
  smb ports = 445
  bind interfaces only = no
  log level = 0
  pid directory = {scratch}/smb
  lock directory = {scratch}/smb
  state directory = {scratch}/smb
  cache directory = {scratch}/smb
  private dir = {scratch}/smb
  ncalrpc dir = {scratch}/smb/ncalrpc
  load printers = no
  server min protocol = SMB2
  smb encrypt = off
[share]
  path = {scratch}/share
  guest ok = yes
  read only = no
"""

WORDS = (
    "the", "a", "sensor", "network", "report", "house", "garden", "river", "morning", "letter", "table", "window",
    "engine", "signal", "copper", "harbour",
)  # fmt: skip


def prose(words: int, seed: int) -> str:
    """Harmless text, the same for the same seed."""
    chance = random.Random(seed)
    return " ".join(chance.choice(WORDS) for _ in range(words))


def portable_executable(size_bytes: int, seed: int) -> bytes:
    """The head of a Windows program (DOS header, stub text, PE signature), then noise. It runs nowhere."""
    dos = b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00".ljust(60, b"\x00") + (128).to_bytes(4, "little")
    stub = b"\x0e\x1f\xba\x0e\x00\xb4\x09\xcd\x21\xb8\x01\x4c\xcd\x21This program cannot be run in DOS mode.\r\r\n$"
    head = (dos + stub).ljust(128, b"\x00") + b"PE\x00\x00\x4c\x01\x00\x00"
    return head + random.Random(seed).randbytes(size_bytes - len(head))


def web_root(folder: Path) -> None:
    """The files that nginx serves."""
    (folder / "plain").mkdir(parents=True)
    (folder / "index.html").write_text(
        f"<html><head><title>welcome</title></head><body><p>{prose(300, 1)}</p></body></html>\n"
    )
    (folder / "news.html").write_text(f"<html><body><h1>news</h1><p>{prose(2500, 2)}</p></body></html>\n")
    (folder / "data.json").write_text('{"readings": [' + ", ".join(str(n * n % 97) for n in range(400)) + "]}\n")
    (folder / "plain" / "picture.bin").write_bytes(b"\x89PNG\r\n\x1a\n" + random.Random(3).randbytes(20000))
    (folder / "plain" / "setup.exe").write_bytes(portable_executable(12000, 4))
    (folder / "tool.exe").write_bytes(portable_executable(6000, 5) + b"\x00" * 6000)
    (folder / "shell-output.txt").write_text("<pre>uid=33(www-data) gid=33(www-data) groups=33(www-data)\n</pre>\n")


def nginx(lab: Lab, side: str) -> subprocess.Popen[str]:
    """A web server on port 80 of every address of `side`."""
    scratch = lab.scratch / f"nginx-{side}"
    web_root(scratch / "www")
    (scratch / "nginx.conf").write_text(NGINX_CONF.format(scratch=scratch))
    return lab.start(side, "nginx", "-c", str(scratch / "nginx.conf"), ports=(("tcp", 80),))


def unbound(lab: Lab, side: str, address: str) -> subprocess.Popen[str]:
    """A resolver that answers from local data alone: a few names, one large TXT record, nothing else exists."""
    large = " ".join(f'"{prose(30, n)[:180]}"' for n in range(12))
    records = [
        "www.example.com. 300 IN A 198.51.100.80",
        "www.example.com. 300 IN AAAA 2001:db8:2::80",
        "mail.example.org. 300 IN A 198.51.100.25",
        "example.org. 300 IN MX 10 mail.example.org.",
        f"large.example.net. 300 IN TXT {large}",
    ]
    data = "\n".join(f"  local-data: '{record}'" for record in records)
    conf = lab.scratch / f"unbound-{side}.conf"
    conf.write_text(UNBOUND_CONF.format(address=address, scratch=lab.scratch, data=data))
    return lab.start(side, "unbound", "-d", "-c", str(conf), ports=(("udp", 53), ("tcp", 53)))


def samba(lab: Lab, side: str) -> subprocess.Popen[str]:
    """A file server on port 445 with one share open to guests."""
    for folder in ("smb", "share"):
        (lab.scratch / folder).mkdir()
    (lab.scratch / "share" / "minutes.txt").write_text(prose(200, 6) + "\n")
    (lab.scratch / "smb.conf").write_text(SMB_CONF.format(scratch=lab.scratch))
    return lab.start(
        side,
        "smbd",
        "--foreground",
        "--no-process-group",
        "--configfile",
        str(lab.scratch / "smb.conf"),
        ports=(("tcp", 445),),
    )


def tls_server(lab: Lab, side: str, subject: str) -> subprocess.Popen[str]:
    """`openssl s_server` with a certificate of its own for `subject`."""
    key, certificate = lab.scratch / "tls.key", lab.scratch / "tls.pem"
    lab.run(
        side,
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "30",
        "-subj",
        subject,
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    )
    return lab.start(
        side,
        "openssl",
        "s_server",
        "-accept",
        "443",
        "-key",
        str(key),
        "-cert",
        str(certificate),
        "-www",
        "-quiet",
        ports=(("tcp", 443),),
    )


def sink(lab: Lab, side: str, kind: str, port: int) -> subprocess.Popen[str]:
    """One of the talkers of sink.py: `smtp`, `pool` or `shell-master`."""
    script = Path(__file__).with_name("sink.py")
    return lab.start(side, sys.executable, str(script), kind, str(port), ports=(("tcp", port),))
