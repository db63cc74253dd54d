//! One request with its response, and how far detection has been told of it.
//!
//! Invariant: stages are told once each and in order; one that is reached early waits for those before it.

use super::body::Body;
use super::headers::Headers;
use super::uri;
use crate::app::AppContext;
use crate::inspect::{AppProto, BufferId, Stage, Transaction, TxScratch};

const STAGES: [Stage; 4] = [Stage::Request, Stage::RequestBody, Stage::Response, Stage::ResponseBody];

/// A request and its response, as far as they were seen.
#[derive(Debug, Default)]
pub struct HttpTransaction {
    id: u64,
    /// Method as sent.
    pub method: Vec<u8>,
    /// Request target as sent.
    pub target: Vec<u8>,
    /// Protocol as sent, empty for HTTP/0.9.
    pub protocol: Vec<u8>,
    uri: Option<Vec<u8>>,
    user_agent: Option<Vec<u8>>,
    /// Request fields.
    pub request_headers: Headers,
    /// Request body.
    pub request_body: Body,
    /// Status code as sent.
    pub status: Vec<u8>,
    /// Response fields.
    pub response_headers: Headers,
    /// Response body, decoded.
    pub response_body: Body,
    /// The request is complete.
    pub request_done: bool,
    /// The response is complete.
    pub response_done: bool,
    reached: [bool; 4],
    told: usize,
    scratch: TxScratch,
    /// Bytes of this transaction in the parser's sum.
    pub accounted: usize,
}

impl HttpTransaction {
    /// The `id`-th transaction of its flow.
    pub fn new(id: u64) -> Self {
        Self { id, ..Self::default() }
    }

    /// Whether the method is this one (in upper case).
    pub fn is_method(&self, method: &str) -> bool {
        self.method == method.as_bytes()
    }

    /// The status code as a number, 0 when it is none.
    pub fn status_code(&self) -> u16 {
        std::str::from_utf8(&self.status)
            .ok()
            .and_then(|s| s.parse().ok())
            .filter(|s| (100..=999).contains(s))
            .unwrap_or(0)
    }

    /// The request line has been read.
    pub fn request_line_done(&mut self) {
        // The target of CONNECT is an authority, no path (RFC 9112 section 3.2.3).
        if !self.is_method("CONNECT") {
            self.uri = uri::normalize(&self.target);
        }
    }

    /// `stage` is reached: tell it as soon as those before it are told.
    pub fn reach(&mut self, stage: Stage, cx: &mut AppContext<'_>) {
        self.reached[stage as usize] = true;
        while self.told < STAGES.len() && self.reached[self.told] {
            let stage = STAGES[self.told];
            self.told += 1;
            if stage == Stage::Request {
                self.user_agent = self.request_headers.joined("user-agent");
            }
            cx.sink.transaction(stage, self);
        }
    }

    /// Everything is over: tell what is left.
    pub fn reach_all(&mut self, cx: &mut AppContext<'_>) {
        for stage in STAGES {
            self.reach(stage, cx);
        }
    }

    /// Both sides are complete and told.
    pub fn is_over(&self) -> bool {
        self.request_done && self.response_done && self.told == STAGES.len()
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        std::mem::size_of::<Self>()
            + self.method.capacity()
            + self.target.capacity()
            + self.protocol.capacity()
            + self.status.capacity()
            + self.uri.as_ref().map_or(0, Vec::capacity)
            + self.user_agent.as_ref().map_or(0, Vec::capacity)
            + self.scratch.memory()
            + self.request_headers.memory()
            + self.request_body.memory()
            + self.response_headers.memory()
            + self.response_body.memory()
    }
}

fn present(bytes: &[u8]) -> Option<&[u8]> {
    Some(bytes).filter(|b| !b.is_empty())
}

impl Transaction for HttpTransaction {
    fn app_proto(&self) -> AppProto {
        AppProto::Http
    }

    fn id(&self) -> u64 {
        self.id
    }

    fn buffer_count(&self, id: BufferId) -> usize {
        usize::from(self.buffer(id, 0).is_some())
    }

    fn buffer(&self, id: BufferId, index: usize) -> Option<&[u8]> {
        if index > 0 {
            return None;
        }
        match id {
            BufferId::HttpUri => self.uri.as_deref(),
            BufferId::HttpMethod => present(&self.method),
            BufferId::HttpUserAgent => self.user_agent.as_deref(),
            BufferId::HttpRequestBody => present(self.request_body.data()),
            BufferId::HttpResponseBody => present(self.response_body.data()),
            BufferId::Payload | BufferId::DnsQuery => None,
        }
    }

    fn facts(&self) -> Vec<(&'static str, Vec<u8>)> {
        let request = |name| self.request_headers.get(name);
        let fields = [
            ("http.method", present(&self.method)),
            ("http.url", present(&self.target)),
            ("http.protocol", present(&self.protocol)),
            ("http.host", request("host").or_else(|| uri::host(&self.target))),
            ("http.user_agent", request("user-agent")),
            ("http.referer", request("referer")),
            ("http.status", present(&self.status)),
            ("http.content_type", self.response_headers.get("content-type")),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value?.to_vec()))).collect()
    }

    fn scratch(&mut self) -> &mut TxScratch {
        &mut self.scratch
    }
}
