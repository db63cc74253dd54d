"""The ingest process: builds everything, listens, and ends in order.

Rules of this file: the only place of the ingest that opens files, makes threads or listens. It ends when it is told
to by SIGTERM or SIGINT or when its parent is gone (its standard input ends): no new connections, requests in hand are
answered, what waits is stored, the files are closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiohttp import web

from appliance.wire.enrollment import EnrollmentToken
from collector_client.config import Config, key_places, parse_listen
from collector_client.errors import CollectorError
from collector_client.ingest.admission import CONNECTION, Admission
from collector_client.ingest.batch import Parser
from collector_client.ingest.challenges import Challenges
from collector_client.ingest.clones import Clones
from collector_client.ingest.connections import Connections
from collector_client.ingest.desk import Desk
from collector_client.ingest.distributor import Distributor
from collector_client.ingest.element import Elements
from collector_client.ingest.element_desk import ElementDesk
from collector_client.ingest.endpoint import Endpoint, Quotas
from collector_client.ingest.enrollment import Enrollment
from collector_client.ingest.escrow import Escrow
from collector_client.ingest.issuer import Issuer
from collector_client.ingest.keeper import Keeper
from collector_client.ingest.listener import GuardedServer, Listener, room_for
from collector_client.ingest.peer import Gate
from collector_client.ingest.proved_renewal import ProvedRenewal
from collector_client.ingest.quota import Quota
from collector_client.ingest.refusals import Refusals
from collector_client.ingest.renewal import Renewal
from collector_client.ingest.renewal_desk import RenewalDesk
from collector_client.ingest.residency import Residency
from collector_client.ingest.revocation import Revocation
from collector_client.ingest.tickets import TICKETS_S, TicketContexts
from collector_client.ingest.timekeeper import Timekeeper
from collector_client.pki import PKI_NAME, Authority, KeyFault, TpmTrust
from collector_client.pki.time_signer import TimeSigner
from collector_client.pki.watch import warnings
from collector_client.store import BatchToStore, Control, Writer, keys, sensors, tokens
from collector_client.store.clock import Clock
from collector_client.store.keys import KeyRecord
from collector_client.store.sensors import SensorRecord
from collector_client.store.tokens import TokenRecord
from collector_client.validate import Window

log = logging.getLogger("vedette.ingest")

_SWEEP_S = 1.0
_RETRY_S = 60.0
_SUM_UP_S = 60.0
_DRAIN_S = 20.0
_KEEPALIVE_S = 86_400.0  # the idle are cut by Connections, which also sees a head that dribbles
_LINGER_S = 2.0
_PARSER_THREADS = 2
_SIGNER_SLACK_S = 5.0
"""A request waits somewhat longer than the key's place may take, so that the place is what is blamed."""


class Ingest:
    """One listener over one store."""

    def __init__(self, directory: Path, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._authority = Authority.open(directory / PKI_NAME, key_places(config.ca, os.environ))
        self._directory = directory

    async def run(self, listen: str, ready: Callable[[str], None], stop: asyncio.Event) -> None:
        """Listen until `stop` is set; `ready` is told the address once sensors can connect.

        Raises:
            CollectorError: the configuration or the certificate files cannot be used, or the port cannot be had.
            StoreError: the store cannot be opened, or another process writes into it.
        """
        self._watch()
        try:
            self._renew_server()
        except KeyFault as error:
            # What was issued before is good still: a token that is away must not keep batches out.
            log.error("the server's certificate was not renewed: %s (%s)", error, error.advice)
        contexts = TicketContexts(self._authority.server_context)
        async with contextlib.AsyncExitStack() as stack:
            limits = self._config.ingest
            self._connections = Connections(
                limit=room_for(limits.max_connections),
                newcomers_per_address=limits.newcomers_per_address,
                per_minute=limits.connections_per_minute,
                head_s=limits.handshake_timeout_s + limits.request_timeout_s,
                idle_s=limits.idle_timeout_s,
                now_s=self._clock.monotonic_s,
            )
            endpoint = self._build(stack)
            self._server = GuardedServer(
                self._guarded(endpoint),
                self._connections,
                keepalive_s=_KEEPALIVE_S,
                linger_s=_LINGER_S,
            )
            listener = Listener(
                self._server,
                self._connections,
                lambda: contexts.in_use,
                handshake_s=limits.handshake_timeout_s,
                refused=self._refusals.connection,
            )
            address = await listener.open(*parse_listen(listen))
            housekeeping = [
                asyncio.create_task(work) for work in (self._keep_house(endpoint.desk), self._keep_authority(contexts))
            ]
            try:
                ready(address)
                await stop.wait()
            finally:
                listener.close()
                for task in housekeeping:
                    task.cancel()
                self._server.pre_shutdown()
                await self._server.shutdown(_DRAIN_S)
                await endpoint.desk.sum_up()

    def _build(self, stack: contextlib.AsyncExitStack) -> Endpoint:
        """The object graph; what must be closed is put on the stack, last opened first closed."""
        config, directory = self._config, self._directory
        writer = Writer.open(directory, self._clock)
        stack.callback(writer.close)
        writing, reading, watching = (Control.open(directory) for _ in range(3))
        for control in (writing, reading, watching):
            stack.callback(control.close)
        self._refusals = Refusals(writing)
        self._revocation = Revocation(watching, self._connections, self._clock)
        keeper = Keeper(writer, writing)
        stack.push_async_callback(asyncio.to_thread, keeper.close)
        issuer = self._issuer = Issuer(
            self._authority, keeper, wait_s=config.ca.key_timeout_ms / 1000 + _SIGNER_SLACK_S
        )
        stack.push_async_callback(asyncio.to_thread, issuer.close)
        pool = ThreadPoolExecutor(_PARSER_THREADS, thread_name_prefix="parser")
        stack.callback(pool.shutdown)

        def find(sensor_id: str, key_id: str) -> tuple[SensorRecord | None, KeyRecord | None]:
            with reading.reading() as connection:
                return sensors.find(connection, sensor_id), keys.find(connection, key_id)

        def find_token(token: EnrollmentToken) -> TokenRecord | None:
            with reading.reading() as connection:
                return tokens.check(connection, token.token_id, token.secret)

        async def parse_apart(parse: Callable[[], BatchToStore]) -> BatchToStore:
            return await asyncio.get_running_loop().run_in_executor(pool, parse)

        production, days = config.collector.production, config.collector.sensor_certificate_days
        enrollment = Enrollment(writing, issuer, days, production)
        renewal = Renewal(
            writing,
            issuer,
            days,
            production,
            grace_ns=config.collector.superseded_key_minutes * 60 * 10**9,
            recovery_ns=config.collector.recovery_days * 86_400 * 10**9,
        )
        gate = Gate(find, accepts=lambda der: self._authority.chains.accepts(der), production=production)
        admission = Admission(gate, renewal, Clones(), keeper, self._connections, self._clock)
        trust = TpmTrust(directory / PKI_NAME)
        challenges = Challenges(trust, config.collector.allow_unlisted_tpm, production, secrets.token_bytes)
        attempts = Quota(config.quota.enrollments_per_minute)
        quotas = Quotas(
            sensor=Quota(config.quota.sensor_events_per_minute),
            tenant=Quota(config.quota.tenant_events_per_minute),
        )
        return Endpoint(
            admission=admission,
            desk=Desk(
                admission=admission,
                enrollment=enrollment,
                residency=Residency(enrollment, challenges),
                renewals=RenewalDesk(
                    admission,
                    renewal,
                    ProvedRenewal(renewal, challenges),
                    attempts,
                    keeper,
                    issuer,
                    self._clock,
                    config.ingest.request_timeout_s,
                ),
                elements=ElementDesk(
                    Elements(enrollment, renewal), attempts, issuer, self._clock, config.ingest.request_timeout_s
                ),
                find_token=find_token,
                refusals=self._refusals,
                quota=attempts,
                keeper=keeper,
                issuer=issuer,
                clock=self._clock,
                request_timeout_s=config.ingest.request_timeout_s,
            ),
            timekeeper=Timekeeper(TimeSigner(directory / PKI_NAME), self._clock),
            distributor=Distributor(
                admission=admission,
                reading=reading,
                writing=writing,
                keeper=keeper,
                directory=directory,
                clock=self._clock,
                charge=lambda sensor, cost: quotas.charge(sensor, cost, self._clock.monotonic_s()),
            ),
            escrow=Escrow(directory, writing, self._clock),
            quotas=quotas,
            parser=Parser(Window.of(config.events.max_age_days, config.events.max_ahead_minutes)),
            keeper=keeper,
            clock=self._clock,
            parse_apart=parse_apart,
            batches_in_hand=config.ingest.batches_in_hand,
            request_timeout_s=config.ingest.request_timeout_s,
        )

    def _guarded(self, endpoint: Endpoint) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            connection = self._server.connection_of(request.protocol)
            if connection is None:
                raise ConnectionResetError
            self._connections.serving(connection)
            request[CONNECTION] = connection
            try:
                response = await endpoint.handle(request)
                response.headers["Server"] = "vedette"
                if self._connections.is_worn_out(connection):
                    response.force_close()
                return response
            finally:
                self._connections.served(connection)

        return handle

    async def _keep_house(self, desk: Desk) -> None:
        """Cut the idle and the revoked; sum up refusals."""
        sum_up_at_s = self._clock.monotonic_s() + _SUM_UP_S
        while True:
            await asyncio.sleep(_SWEEP_S)
            self._connections.sweep()
            await self._revocation.look()
            if self._clock.monotonic_s() >= sum_up_at_s:
                sum_up_at_s = self._clock.monotonic_s() + _SUM_UP_S
                await desk.sum_up()

    async def _keep_authority(self, contexts: TicketContexts) -> None:
        """Follow a roll-over of the CA; renew the server's certificate; end the tickets of an hour. May wait for a
        key, which is why it is a task of its own.
        """
        renew_at_s = self._clock.monotonic_s() + TICKETS_S
        while True:
            await asyncio.sleep(_SWEEP_S)
            try:
                changed = await asyncio.to_thread(self._authority.refresh)
                if changed:
                    log.info("the register of authorities changed: pin %s", self._authority.pin)
                    contexts.renew()  # another trust, whatever becomes of the server's certificate
                if changed or self._clock.monotonic_s() >= renew_at_s:
                    renew_at_s = self._clock.monotonic_s() + _RETRY_S
                    self._watch()
                    await self._issuer.run(self._renew_server)
                    contexts.renew()
                    renew_at_s = self._clock.monotonic_s() + TICKETS_S
            except CollectorError as error:
                log.error("the CA cannot be used as it is: %s (%s)", error, error.advice)
                await asyncio.sleep(_RETRY_S)

    def _renew_server(self) -> bool:
        renewed = self._authority.renew_server(self._config.collector.names, self._clock.wall_ns())
        if renewed:
            log.info("made a new server certificate")
        return renewed

    def _watch(self) -> None:
        for line in warnings(self._authority.chains, self._clock.wall_ns()):
            log.warning("%s", line)
