//! The seam between the layers that understand traffic (flow, stream, app) and the layer that judges it (detect).
//!
//! `worker` drives; `flow`/`stream`/`app` know of detection only this trait; `detect` implements it. Tests of the lower
//! layers implement it with a recorder.

use crate::packet::Packet;
use std::net::IpAddr;

/// Which way bytes travel inside a flow. The client is the side that opened the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Client to server.
    ToServer = 0,
    /// Server to client.
    ToClient = 1,
}

impl Direction {
    /// The other way.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

/// Application protocol of a flow, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AppProto {
    /// Not enough bytes seen yet.
    #[default]
    Unknown,
    /// HTTP/1.
    Http,
    /// DNS over UDP or TCP.
    Dns,
    /// TLS: recognised so that its ciphertext is not scanned; not parsed.
    Tls,
    /// Looked at and given up: none of the above.
    None,
}

/// The buffers that sticky keywords select. One per normalised protocol field; closed, append-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum BufferId {
    /// Packet payload or the reassembled stream: content without a sticky buffer.
    Payload = 0,
    /// `http.uri`: path normalised, with its query.
    HttpUri = 1,
    /// `http.method`.
    HttpMethod = 2,
    /// `http.user_agent`, without surrounding white space.
    HttpUserAgent = 3,
    /// `http.request_body`: dechunked, up to the body limit.
    HttpRequestBody = 4,
    /// `file_data` to the client: response body, dechunked and decompressed, up to the body limit.
    HttpResponseBody = 5,
    /// `dns.query`: one buffer per question, as dotted text without the last dot.
    DnsQuery = 6,
}

/// How far a transaction has come; a rule is judged at the first stage where all of its buffers are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    /// Request line and headers (HTTP), or the whole query (DNS).
    Request = 0,
    /// Request body complete, at its limit, or the flow ended.
    RequestBody = 1,
    /// Status line and response headers (HTTP), or the whole answer (DNS).
    Response = 2,
    /// Response body complete, at its limit, or the flow ended.
    ResponseBody = 3,
}

impl Stage {
    /// The way the bytes of this stage travel.
    pub fn direction(self) -> Direction {
        match self {
            Self::Request | Self::RequestBody => Direction::ToServer,
            Self::Response | Self::ResponseBody => Direction::ToClient,
        }
    }
}

/// What the application layer knows about one transaction (an HTTP request with its response, a DNS query, a DNS answer).
pub trait Transaction {
    /// Which protocol.
    fn app_proto(&self) -> AppProto;
    /// Number of this transaction within its flow, from 0.
    fn id(&self) -> u64;
    /// How many buffers of this kind it has (0 or 1 for HTTP, one per question for DNS).
    fn buffer_count(&self, id: BufferId) -> usize;
    /// The `index`-th buffer of this kind.
    fn buffer(&self, id: BufferId, index: usize) -> Option<&[u8]>;
    /// Facts for the analyst as (field, value), fields such as `http.host`, `http.url`, `http.method`, `http.user_agent`,
    /// `http.status`, `dns.rrname`, `dns.rrtype`. Bytes as seen.
    fn facts(&self) -> Vec<(&'static str, Vec<u8>)>;
    /// Scratch space where detection keeps its candidates for later stages; see `detect`.
    fn scratch(&mut self) -> &mut TxScratch;
    /// Buffers and the scratch at once, for a detector that writes marks while it reads.
    fn take_scratch(&mut self) -> TxScratch {
        std::mem::take(self.scratch())
    }
}

/// Detection's notes on one transaction: rules whose fast pattern has been seen but whose last stage has not come.
#[derive(Debug, Default)]
pub struct TxScratch {
    /// Counts rule set changes; notes made under another set are void.
    pub generation: u32,
    /// Candidate programs (ways in which rules can be met), in ascending order without repeats.
    pub candidates: Vec<u32>,
    /// Indices of rules that have alerted on this transaction.
    pub alerted: Vec<u32>,
}

impl TxScratch {
    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        (self.candidates.capacity() + self.alerted.capacity()) * size_of::<u32>()
    }
}

/// Detection's notes on one flow.
#[derive(Debug, Default)]
pub struct FlowScratch {
    /// Counts rule set changes; notes made under another set are void, flow bits are translated.
    pub generation: u32,
    /// Flow bits set, as indices into the rule set's table of names, in ascending order.
    pub flowbits: Vec<u32>,
    /// (rule, direction) pairs that have alerted on this flow's stream or address pair, so that one hit is told once.
    pub alerted: Vec<(u32, Direction)>,
    /// Stream programs whose pattern has been seen but which have not matched: the program, the direction, and the stream offset
    /// behind which the pattern cannot be.
    pub waiting: Vec<(u32, Direction, u64)>,
    /// Rules whose payload half has matched in this direction while their transaction half is outstanding.
    pub halves: Vec<(u32, Direction)>,
    /// Address-only rules have been judged for this direction (bit 0: to server, bit 1: to client), and rules that ask for
    /// the application protocol alone (bits 2 and 3).
    pub ip_only_done: u8,
}

impl FlowScratch {
    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.flowbits.capacity() * size_of::<u32>()
            + (self.alerted.capacity() + self.halves.capacity()) * size_of::<(u32, Direction)>()
            + self.waiting.capacity() * size_of::<(u32, Direction, u64)>()
    }
}

/// A flow as detection sees it.
#[derive(Debug)]
pub struct FlowView<'a> {
    /// Stable number of the flow: a keyed hash of its five-tuple and first time, never reused within a run.
    pub id: u64,
    /// IP protocol.
    pub proto: u8,
    /// Address and port of the side that opened the flow.
    pub client: (IpAddr, u16),
    /// Address and port of the other side.
    pub server: (IpAddr, u16),
    /// TCP: the three-way handshake was seen (or midstream pickup allowed it). UDP, ICMP: packets were seen both ways.
    pub established: bool,
    /// The application protocol.
    pub app: AppProto,
    /// TCP, in [`Inspector::packet`]: this packet's payload was taken into the stream, so that it comes (or came) through
    /// [`Inspector::stream`]. Stream rules fall back to the packet's payload when it was not (no handshake seen, out of window).
    pub payload_in_stream: bool,
    /// TCP, in [`Inspector::packet`]: this packet's payload is ciphertext, which is not looked at.
    pub ciphertext: bool,
    /// Detection's own notes.
    pub scratch: &'a mut FlowScratch,
}

/// A piece of one direction's reassembled TCP stream, with enough of what came before to match across the seam.
#[derive(Debug, Clone, Copy)]
pub struct StreamWindow<'a> {
    /// Bytes in order; a prefix has been inspected before.
    pub data: &'a [u8],
    /// Stream offset of `data[0]`, counted from the first byte after the SYN (or from where midstream pickup began).
    pub base_offset: u64,
    /// Index in `data` of the first byte not inspected before.
    pub new_from: usize,
    /// The direction ends here (FIN, RST, timeout, end of input) or its inspection depth is reached.
    pub last: bool,
}

/// What set off an inspection: the packet at hand, or the end of a flow.
#[derive(Debug, Clone, Copy)]
pub struct Trigger<'a> {
    /// Time of the inspection (the packet's, or the time the flow was closed at).
    pub ts_ns: u64,
    /// Index of the source.
    pub source: u32,
    /// The packet, unless a timeout or the end of input set it off.
    pub packet: Option<&'a Packet<'a>>,
}

/// The judge. Called by `worker` in the order in which things become known; must be deterministic.
pub trait Inspector {
    /// Every decoded packet once, before its payload goes to the stream: header rules, address-only rules, UDP/ICMP payload,
    /// and TCP payload for rules that look at packets. `direction` is the packet's; without a flow it is `ToServer`.
    fn packet(&mut self, trigger: Trigger<'_>, flow: Option<(&mut FlowView<'_>, Direction)>);
    /// New in-order bytes of a TCP direction.
    fn stream(&mut self, trigger: Trigger<'_>, flow: &mut FlowView<'_>, direction: Direction, window: StreamWindow<'_>);
    /// A transaction has reached `stage`.
    fn transaction(&mut self, trigger: Trigger<'_>, flow: &mut FlowView<'_>, stage: Stage, tx: &mut dyn Transaction);
}
