//! Application protocols: what the bytes of a flow mean.
//!
//! One folder per protocol and one row in `PROTOCOLS`: how it is recognised, and how a parser for a flow of it is made.
//! A parser gets in-order bytes (or datagrams), gaps and ends, and gives transactions; it never fails: bytes it cannot
//! read are counted and end its direction. Every parser is bounded in memory by its own limits and tells what it holds.

pub mod dns;
pub mod http;
mod layer;
pub mod tls;

pub use layer::{AppLayer, Decision};

use crate::inspect::{AppProto, Direction, Stage, Transaction};

/// Settings of the parsers.
#[derive(Debug, Clone, Copy)]
pub struct AppConfig {
    /// Most bytes of a message body that are kept for inspection.
    pub body_limit: usize,
}

/// What the parsers count.
#[derive(Debug, Clone, Copy, Default)]
pub struct AppCounters {
    /// HTTP transactions begun.
    pub http_transactions: u64,
    /// HTTP directions given up because they could not be read further.
    pub http_errors: u64,
    /// Message bodies whose compression was broken.
    pub http_decode_errors: u64,
    /// HTTP directions given up, and bodies cut, because the memory of all flows was used up.
    pub http_memory_drops: u64,
    /// DNS messages read.
    pub dns_transactions: u64,
    /// DNS messages with more questions, or longer ones, than are looked at.
    pub dns_cut: u64,
    /// DNS messages that could not be read.
    pub dns_malformed: u64,
    /// TLS flows recognised.
    pub tls_flows: u64,
}

/// Who is told of transactions.
pub trait TransactionSink {
    /// `tx` has reached `stage`.
    fn transaction(&mut self, stage: Stage, tx: &mut dyn Transaction);
}

/// What a parser works with beside the bytes.
pub struct AppContext<'a> {
    /// Who is told of transactions.
    pub sink: &'a mut dyn TransactionSink,
    /// Where to count.
    pub counters: &'a mut AppCounters,
    /// Settings.
    pub config: &'a AppConfig,
    /// The shared memory budget is used up: keep nothing that can be done without.
    pub memory_full: bool,
}

/// One flow's parser.
pub trait AppParser: Send {
    /// The next bytes of a direction (TCP), or one datagram (UDP).
    fn data(&mut self, direction: Direction, data: &[u8], cx: &mut AppContext<'_>);
    /// `len` bytes of a direction will never be seen.
    fn gap(&mut self, direction: Direction, len: u64, cx: &mut AppContext<'_>);
    /// A direction has ended: no more bytes come this way.
    fn end(&mut self, direction: Direction, cx: &mut AppContext<'_>);
    /// The flow is over: tell the stages that are still open with what is there.
    fn finish(&mut self, cx: &mut AppContext<'_>);
    /// Bytes held.
    fn memory(&self) -> usize;
    /// Nothing of this direction is worth looking at from here on (ciphertext).
    fn opaque(&self, _direction: Direction) -> bool {
        false
    }
}

/// What carries a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A byte stream.
    Tcp,
    /// Datagrams.
    Udp,
}

/// The beginning of a direction, to be recognised.
#[derive(Debug, Clone, Copy)]
pub struct Probe<'a> {
    /// The first bytes.
    pub data: &'a [u8],
    /// Which way they travel.
    pub direction: Direction,
    /// Ports of client and server.
    pub ports: (u16, u16),
}

/// Whether the beginning is that of a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// It may be: more bytes are needed.
    More,
}

/// One protocol.
pub struct Protocol {
    /// Its name for rules and alerts.
    pub app: AppProto,
    /// What carries it.
    pub transport: Transport,
    /// Whether a beginning is this protocol's.
    pub probe: fn(&Probe<'_>) -> Match,
    /// A parser for a new flow.
    pub new: fn() -> Box<dyn AppParser>,
}

/// Every protocol, in the order in which beginnings are tried.
pub static PROTOCOLS: [Protocol; 4] = [http::PROTOCOL, tls::PROTOCOL, dns::OVER_UDP, dns::OVER_TCP];
