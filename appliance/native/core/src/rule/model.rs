//! A rule as it is judged, and what a reader of its alerts wants to know of it.

use super::check::{BufferCheck, PacketCheck};
use super::header::{Action, EndsNeeded, IpVersion, Layer4};
use super::keyword::content::Content;
use super::keyword::flowbits::FlowBit;
use super::keyword::threshold::Threshold;
use crate::inspect::{AppProto, BufferId, Direction, Stage};

/// What an alert's reader needs to know of a rule.
#[derive(Debug, Clone)]
pub struct RuleInfo {
    /// Generator id.
    pub gid: u32,
    /// Signature id.
    pub sid: u32,
    /// Revision.
    pub rev: u32,
    /// Action.
    pub action: Action,
    /// Message.
    pub msg: Box<str>,
    /// Classification type as the rule has it, empty when it has none.
    pub classtype: Box<str>,
    /// The classification type's description, empty when there is none.
    pub category: &'static str,
    /// Priority, 1 to 255.
    pub priority: u8,
    /// References as (scheme, id).
    pub references: Vec<(Box<str>, Box<str>)>,
    /// Metadata as (key, value).
    pub metadata: Vec<(Box<str>, Box<str>)>,
    /// `target`: which end was attacked, as the rule has it (`src_ip`, `dest_ip`).
    pub target: Option<Target>,
}

/// Value of the `target` keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The source of the alert.
    Source,
    /// The destination of the alert.
    Destination,
}

/// What the `flow` keyword asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlowNeeds {
    /// `established` (true) or `not_established` (false).
    pub established: Option<bool>,
    /// `to_server` or `to_client`, also when a buffer that only one side sends implies it.
    pub direction: Option<Direction>,
    /// `only_stream`
    pub only_stream: bool,
    /// `no_stream`
    pub no_stream: bool,
    /// The keyword stands in the rule: a flow is needed.
    pub needed: bool,
}

/// The buffer a chain runs over, before the direction decides what a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Buffer {
    /// A buffer of the seam.
    Of(BufferId),
    /// `file_data`: the response body to the client, the request body to the server.
    File,
}

impl Buffer {
    /// The seam's buffer when bytes travel in `direction`.
    pub fn resolve(self, direction: Direction) -> BufferId {
        match (self, direction) {
            (Self::Of(id), _) => id,
            (Self::File, Direction::ToServer) => BufferId::HttpRequestBody,
            (Self::File, Direction::ToClient) => BufferId::HttpResponseBody,
        }
    }

    /// The one way its bytes travel; `None` when both.
    pub fn direction(self) -> Option<Direction> {
        match self {
            Self::Of(BufferId::Payload) | Self::File => None,
            Self::Of(id) => Some(stage_of(id).direction()),
        }
    }

    /// The application protocol it belongs to.
    pub fn app(self) -> Option<AppProto> {
        match self {
            Self::Of(BufferId::Payload) => None,
            Self::Of(BufferId::DnsQuery) => Some(AppProto::Dns),
            Self::Of(_) | Self::File => Some(AppProto::Http),
        }
    }
}

/// The stage at which a buffer is final. The payload has none; it is given the first.
pub fn stage_of(id: BufferId) -> Stage {
    match id {
        BufferId::Payload | BufferId::HttpUri | BufferId::HttpMethod | BufferId::HttpUserAgent | BufferId::DnsQuery => {
            Stage::Request
        }
        BufferId::HttpRequestBody => Stage::RequestBody,
        BufferId::HttpResponseBody => Stage::ResponseBody,
    }
}

/// One check of a chain.
#[derive(Debug)]
pub enum Check {
    /// `content`, the one that also feeds the prefilter.
    Content(Content),
    /// Any other keyword.
    Other(Box<dyn BufferCheck>),
}

impl Check {
    /// The check behind it.
    pub fn get(&self) -> &dyn BufferCheck {
        match self {
            Self::Content(content) => content,
            Self::Other(other) => other.as_ref(),
        }
    }
}

/// The checks of one buffer in the order of the rule.
#[derive(Debug)]
pub struct Chain {
    /// Which buffer.
    pub buffer: Buffer,
    /// The checks, each with whether another match of it is worth looking for when what follows fails.
    pub checks: Vec<(Check, bool)>,
}

impl Chain {
    /// Works out, for each check, whether a relative check depends on it so that retrying makes sense.
    ///
    /// Contents that must be nowhere at all are asked for last: that does not depend on the others, so once is enough.
    pub fn new(buffer: Buffer, mut checks: Vec<Check>) -> Self {
        checks.sort_by_key(|check| matches!(check, Check::Content(content) if content.negated && !content.relative()));
        let retries: Vec<bool> = (0..checks.len())
            .map(|at| {
                for next in &checks[at + 1..] {
                    if checks[at].get().retries(next.get().reach()) {
                        return true;
                    }
                    if next.get().moves() {
                        break;
                    }
                }
                false
            })
            .collect();
        Self { buffer, checks: checks.into_iter().zip(retries).collect() }
    }

    /// Its contents.
    pub fn contents(&self) -> impl Iterator<Item = &Content> {
        self.checks.iter().filter_map(|(check, _)| match check {
            Check::Content(content) => Some(content),
            Check::Other(_) => None,
        })
    }
}

/// A loaded rule.
#[derive(Debug)]
pub struct Rule {
    /// For the reader.
    pub info: RuleInfo,
    /// Admitted layer-4 protocols.
    pub layer4: Layer4,
    /// Admitted IP versions.
    pub version: IpVersion,
    /// Application protocol the flow must have.
    pub app: Option<AppProto>,
    /// Ends.
    pub ends: EndsNeeded,
    /// `<>`
    pub both_ways: bool,
    /// `flow`
    pub flow: FlowNeeds,
    /// A keyword looks at single packets, so the payload is the packet's (`tcp-pkt`, `dsize`, `flags`).
    pub packets_only: bool,
    /// Checks on headers.
    pub packet_checks: Vec<Box<dyn PacketCheck>>,
    /// Flow bits to test and to change.
    pub flowbits: Vec<FlowBit>,
    /// How often to tell.
    pub threshold: Option<Threshold>,
    /// `noalert`, `flowbits:noalert`
    pub noalert: bool,
    /// The buffers' chains.
    pub chains: Vec<Chain>,
}

impl Rule {
    /// The chain over the payload.
    pub fn payload(&self) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.buffer == Buffer::Of(BufferId::Payload))
    }

    /// The chains over buffers of the application layer.
    pub fn app_chains(&self) -> impl Iterator<Item = &Chain> {
        self.chains.iter().filter(|chain| chain.buffer != Buffer::Of(BufferId::Payload))
    }
}
