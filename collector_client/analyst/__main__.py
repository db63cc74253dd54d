"""`python -m collector_client.analyst DIR [--listen HOST:PORT] [--host NAME]`: the page over one store."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from collector_client.analyst.server import bind, serve
from collector_client.store.clock import SystemClock
from collector_client.store.errors import StoreError
from collector_client.store.reader import Reader


def main(arguments: list[str] | None = None) -> int:
    """Serve until stopped; 0 after a clean stop, 2 when the store or the address cannot be used."""
    parser = argparse.ArgumentParser(prog="collector_client.analyst", description="The analyst's page over one store.")
    parser.add_argument("directory", type=Path, help="the collector's directory")
    parser.add_argument("--listen", default="127.0.0.1:8080", metavar="HOST:PORT", help="default %(default)s")
    parser.add_argument(
        "--host", action="append", default=[], help="another name the page may be asked for; repeatable"
    )
    options = parser.parse_args(arguments)
    host, _, port = options.listen.rpartition(":")
    try:
        Reader.open(options.directory, SystemClock()).close()
        listener = bind(host.strip("[]"), int(port))
    except StoreError as error:
        return _fail(str(error), error.advice)
    except (OSError, ValueError) as error:
        return _fail(f"--listen {options.listen}: {error}", "give a free HOST:PORT of this machine")
    shown = f"[{host.strip('[]')}]" if ":" in host else host
    print(f"page: http://{shown}:{listener.getsockname()[1]}/", flush=True)
    serve(options.directory, listener, hosts=options.host)
    return 0


def _fail(message: str, advice: str) -> int:
    print(f"{message}\n{advice}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
