"""The analyst's pages: Starlette routes over the store's questions. Nothing here changes anything.

Rules of this file: one short function per page: read parameters, ask, render. Formatting is in present.py, numbers of
the time line in chart.py, packets in dissect.py. Every answer goes through `Guard`; every value through the templates'
escaping, which cannot be switched off from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from collector_client.analyst import chart, dissect, params
from collector_client.analyst.guard import LOOPBACK_HOSTS, Guard
from collector_client.analyst.health import sensor_cards
from collector_client.analyst.hexdump import SHOWN_OCTETS, as_text, hexdump
from collector_client.analyst.present import reference
from collector_client.analyst.render import Renderer
from collector_client.pki import PKI_NAME
from collector_client.pki.overview import ca_warnings
from collector_client.store import query
from collector_client.store.clock import Clock
from collector_client.store.errors import StoreError
from collector_client.store.reader import Reader

HERE = Path(__file__).resolve().parent
STATIC = HERE / "static"
PAGE_ALERTS = 100
NS = params.NS

Page = Callable[[Request, Reader], Response]


def create_app(
    directory: Path, clock: Clock, *, hosts: Iterable[str] = LOOPBACK_HOSTS, production: bool = False
) -> Starlette:
    """The page over one store; `hosts` are the names it may be asked for, without a port."""
    renderer = Renderer(vendor=(STATIC / "vendor" / "htmx.min.js").is_file(), production=production)
    bound = partial(_answer, directory, clock, renderer)
    routes = [
        Route("/", bound(_groups), name="groups"),
        Route("/group", bound(_group), name="group"),
        Route("/alerts/{alert_id}", bound(_alert), name="alert"),
        Route("/alerts/{alert_id}/snml", bound(_snml), name="snml"),
        Route("/sensors", bound(partial(_sensors, directory / PKI_NAME)), name="sensors"),
        Route("/favicon.ico", lambda _: RedirectResponse("/static/favicon.svg"), name="favicon"),
        Mount("/static", StaticFiles(directory=STATIC), name="static"),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, hosts=tuple(hosts))],
        exception_handlers={404: lambda request, _: renderer.error(request, 404, "There is no such page.")},
    )


def _answer(
    directory: Path, clock: Clock, renderer: Renderer, page: Callable[[Request, Reader, Renderer], Response]
) -> Callable[[Request], Response]:
    """A route's endpoint: a reader for the time of one answer, and the two refusals that every page shares."""

    def endpoint(request: Request) -> Response:
        try:
            with Reader.open(directory, clock) as reader:
                return page(request, reader, renderer)
        except params.ParamError as error:
            return renderer.error(request, 400, str(error))
        except query.NoSuchAlertError as error:
            return renderer.error(request, 404, str(error), error.advice)
        except StoreError as error:
            return renderer.error(request, 503, str(error), error.advice)

    return endpoint


def _groups(request: Request, reader: Reader, renderer: Renderer) -> Response:
    choice = _widened(reader, params.parse(request.query_params))
    chosen = choice.filter(reader.now_ns)
    groups = query.alert_groups(reader, chosen)
    picture = _chart(reader, chosen)
    shown = {(group.tenant, group.gid, group.sid) for group in groups}
    trends = query.trends(reader, chosen, picture.width_s, shown)
    return renderer.page(
        request, reader, "groups.html", partial="_groups.html",
        choice=choice,
        groups=groups,
        cut=len(groups) >= query.MAX_GROUPS,
        chart=picture,
        assurances=query.assurances(reader, chosen, shown),
        sparks={key: chart.spark(picture, buckets) for key, buckets in trends.items()},
        newest=None if groups else query.time_span(reader, query.AlertFilter())[1],
        sensors=query.sensors(reader),
        tenants=sorted(query.tenants(reader).values()),
    )  # fmt: skip


def _group(request: Request, reader: Reader, renderer: Renderer) -> Response:
    choice = params.parse(request.query_params)
    choice = replace(choice, range=choice.range or "all")
    gid = params.number(request.query_params, "gid", 0, (1 << 32) - 1)
    sid = params.number(request.query_params, "sid", 0, (1 << 32) - 1)
    if gid is None or sid is None:
        raise params.ParamError("gid and sid are needed: open a signature from the list of alerts")
    chosen = choice.filter(reader.now_ns, gid=gid, sid=sid)
    before = request.query_params.get("before") or None
    rows = query.alerts(reader, chosen, PAGE_ALERTS + 1, before)
    sensors = query.sensors(reader)
    more = rows[PAGE_ALERTS - 1].alert_id if len(rows) > PAGE_ALERTS else None
    return renderer.page(
        request, reader, "group.html", partial="_group.html",
        choice=choice,
        gid=gid,
        sid=sid,
        subject=next(iter(query.alerts(reader, query.AlertFilter(tenant=choice.tenant, gid=gid, sid=sid), 1)), None),
        chart=_chart(reader, chosen),
        alerts=rows[:PAGE_ALERTS],
        before=before,
        more=more,
        sensors=sensors,
        labels={sensor.sensor_id: sensor.label for sensor in sensors},
        tenants=sorted(query.tenants(reader).values()),
    )  # fmt: skip


def _alert(request: Request, reader: Reader, renderer: Renderer) -> Response:
    detail = query.alert(reader, request.path_params["alert_id"])
    event, dumped = detail.event, dissect.octets(detail.event)
    return renderer.page(
        request, reader, "alert.html",
        detail=detail,
        alert=detail.row,
        event=event,
        label=next((row.label for row in query.sensors(reader) if row.sensor_id == detail.row.sensor_id), ""),
        layers=dissect.layers(event),
        dumped=dumped,
        dump=hexdump(dumped[1]) if dumped else "",
        text=as_text(dumped[1]) if dumped else "",
        cut=dumped is not None and len(dumped[1]) > SHOWN_OCTETS,
        references=[reference(item.system, item.text) for item in event.references],
        facts=event.facts.items if event.facts else (),
        xml=detail.xml.decode("utf-8", "replace"),
        group_url="/group?" + urlencode({"tenant": detail.row.tenant, "gid": detail.row.gid, "sid": detail.row.sid}),
        neighbours=query.neighbours(reader, detail.row),
    )  # fmt: skip


def _snml(request: Request, reader: Reader, _: Renderer) -> Response:
    detail = query.alert(reader, request.path_params["alert_id"])
    # The bytes stay those that came, so what was proved of the key that sent them goes into the name.
    name = f"alert-{detail.row.alert_id}-{detail.row.assurance}-key.xml"
    # Never shown by the browser as a page of its own: what a sensor sent is not ours to render.
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Vedette-Assurance": detail.row.assurance,
    }
    return Response(detail.xml, media_type="application/octet-stream", headers=headers)


def _sensors(pki: Path, request: Request, reader: Reader, renderer: Renderer) -> Response:
    rows = query.sensors(reader)
    cards = sensor_cards(rows, query.refused_events(reader), reader.now_ns)
    return renderer.page(
        request,
        reader,
        "sensors.html",
        partial="_sensors.html",
        cards=cards,
        authorities=ca_warnings(pki, reader.now_ns),
    )


def _widened(reader: Reader, choice: params.Choice) -> params.Choice:
    """Without a chosen range, the narrowest of the usual ones that has an alert at all."""
    if choice.range is not None:
        return choice
    for name in params.DEFAULT_WIDENING:
        choice = replace(choice, range=name)
        if query.alerts(reader, choice.filter(reader.now_ns), 1):
            return choice
    return replace(choice, range=params.DEFAULT_WIDENING[0])


def _chart(reader: Reader, chosen: query.AlertFilter) -> chart.Chart:
    until_ns = chosen.until_ns if chosen.until_ns is not None else reader.now_ns
    since_ns = chosen.since_ns
    if since_ns is None or chosen.until_ns is None:
        oldest, newest = query.time_span(reader, chosen)
        since_ns = since_ns if since_ns is not None else oldest if oldest is not None else until_ns
        if chosen.since_ns is None and newest is not None:
            until_ns = newest + 1  # "all time" ends with the last alert, not with today
    first_s, last_s = since_ns // NS, max(since_ns, until_ns - 1) // NS
    width_s = chart.width_for(last_s - first_s + 1)
    return chart.build(first_s, last_s, width_s, query.timeline(reader, chosen, width_s))
