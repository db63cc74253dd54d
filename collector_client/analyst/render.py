"""Templates to answers: one Jinja environment with escaping on for everything, and what every page is given.

Rules of this file: undefined names are errors, not empty text. A request by htmx gets the page's changing part alone.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from collector_client.analyst import params, present
from collector_client.config import mode_words
from collector_client.store.reader import Reader

TEMPLATES = Path(__file__).resolve().parent / "templates"
REFRESH_S = 15


class Renderer:
    """Renders templates; `vendor`: the browser libraries were set up; `production`: the header says so."""

    def __init__(self, *, vendor: bool, production: bool) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            vendor=vendor, ranges=params.RANGES, refresh_s=REFRESH_S, present=present,
            production=production, mode_words=mode_words(production),
        )  # fmt: skip
        self._environment.filters.update(
            utc=present.utc, iso=present.iso, size=present.size, count=present.count, spans=present.spans
        )
        self._environment.filters["stamp"] = lambda seconds: "" if seconds is None else params.stamp(seconds)

    def page(
        self, request: Request, reader: Reader, template: str, *, partial: str | None = None, **values: object
    ) -> Response:
        """A whole page, or only its `partial` where htmx asks for it."""
        if partial is not None and request.headers.get("HX-Request") == "true":
            template = partial
        html = self._environment.get_template(template).render(
            now_ns=reader.now_ns, path=request.url.path, query_string=request.url.query, **values
        )
        return HTMLResponse(html, headers={"Vary": "HX-Request"})

    def error(self, request: Request, status: int, message: str, advice: str = "") -> Response:
        """A page that says what is wrong and what to do."""
        template = "_error.html" if request.headers.get("HX-Request") == "true" else "error.html"
        html = self._environment.get_template(template).render(
            status=status, message=message, advice=advice, path=request.url.path, query_string=request.url.query
        )
        return HTMLResponse(html, status_code=status)
