//! The inspector with everything it needs to be called for one flow.

use super::conversation::{Conversation, TcpPart};
use crate::app::{AppConfig, AppContext, AppCounters, AppLayer, TransactionSink};
use crate::flow::Flow;
use crate::inspect::{
    AppProto, Direction, FlowScratch, FlowView, Inspector, Stage, StreamWindow, Transaction, Trigger,
};
use crate::stream::Budget;
use std::net::IpAddr;

/// An inspector, a flow and what set the inspection off.
pub(super) struct Judge<'a, I> {
    inspector: &'a mut I,
    trigger: Trigger<'a>,
    id: u64,
    proto: u8,
    client: (IpAddr, u16),
    server: (IpAddr, u16),
    established: bool,
    /// The protocol, to be brought up to date when it is recognised.
    pub app: AppProto,
    /// What this direction carries is ciphertext.
    pub ciphertext: bool,
    scratch: &'a mut FlowScratch,
}

/// The parts of a flow that are worked on while the judge holds its notes.
pub(super) struct Parts<'a> {
    pub app: &'a mut AppLayer,
    pub tcp: Option<&'a mut TcpPart>,
    pub accounted: &'a mut usize,
}

impl<'a, I: Inspector> Judge<'a, I> {
    /// Part a flow into what the judge needs and what the layers work on.
    #[inline]
    pub fn split(
        inspector: &'a mut I,
        flow: &'a mut Flow<Conversation>,
        trigger: Trigger<'a>,
        established: bool,
    ) -> (Self, Parts<'a>) {
        let Conversation { app, scratch, tcp, accounted } = &mut flow.data;
        let judge = Self {
            inspector,
            trigger,
            id: flow.id,
            proto: flow.proto,
            client: flow.client,
            server: flow.server,
            established,
            app: app.proto(),
            ciphertext: false,
            scratch,
        };
        (judge, Parts { app, tcp: tcp.as_deref_mut(), accounted })
    }

    #[inline]
    fn with_view(&mut self, payload_in_stream: bool, call: impl FnOnce(&mut I, Trigger<'a>, &mut FlowView<'_>)) {
        let mut view = FlowView {
            id: self.id,
            proto: self.proto,
            client: self.client,
            server: self.server,
            established: self.established,
            app: self.app,
            payload_in_stream,
            ciphertext: self.ciphertext,
            scratch: self.scratch,
        };
        call(self.inspector, self.trigger, &mut view);
    }

    /// Ports of client and server.
    #[inline]
    pub fn ports(&self) -> (u16, u16) {
        (self.client.1, self.server.1)
    }

    /// Bytes of the flow's notes.
    #[inline]
    pub fn notes_memory(&self) -> usize {
        self.scratch.memory()
    }

    /// Judge the packet at hand.
    #[inline]
    pub fn packet(&mut self, direction: Direction, payload_in_stream: bool) {
        self.with_view(payload_in_stream, |i, trigger, view| i.packet(trigger, Some((view, direction))));
    }

    /// Judge new bytes of a stream.
    #[inline]
    pub fn stream(&mut self, direction: Direction, window: StreamWindow<'_>) {
        self.with_view(true, |i, trigger, view| i.stream(trigger, view, direction, window));
    }
}

impl<I: Inspector> TransactionSink for Judge<'_, I> {
    fn transaction(&mut self, stage: Stage, tx: &mut dyn Transaction) {
        self.with_view(true, |i, trigger, view| i.transaction(trigger, view, stage, tx));
    }
}

/// What a parser works with, told to `judge`.
#[inline]
pub(super) fn app_context<'a, I: Inspector>(
    judge: &'a mut Judge<'_, I>,
    counters: &'a mut AppCounters,
    config: &'a AppConfig,
    budget: &Budget,
) -> AppContext<'a> {
    AppContext { sink: judge, counters, config, memory_full: budget.is_full() }
}
