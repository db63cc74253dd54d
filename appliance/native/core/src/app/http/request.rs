//! The client's side: request lines, header fields, bodies.

use super::body::{Framing, Piece};
use super::decompress::Decoder;
use super::headers::content_length;
use super::lines::{chomp, is_empty, is_space, trim, Lines};
use super::transaction::HttpTransaction;
use super::Http;
use crate::app::AppContext;
use crate::inspect::{Direction, Stage};

/// White space that may follow a request without a protocol for it still to be HTTP/0.9 (libhtp).
const MAX_OLD_JUNK_BYTES: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Line,
    Headers,
    Body(Framing),
    /// CONNECT was asked for: the answer decides what follows.
    Connect,
    /// Given up, or not HTTP any more.
    Stopped,
}

/// Where the client's side stands.
#[derive(Debug, Default)]
pub(super) struct Requests {
    state: State,
    lines: Lines,
}

impl Requests {
    pub fn stop(&mut self) {
        *self = Self { state: State::Stopped, lines: Lines::default() };
    }

    /// The proxy refused: requests go on.
    pub fn connect_refused(&mut self) {
        if self.state == State::Connect {
            self.state = State::Line;
        }
    }

    /// A body is expected and nothing of it has come.
    pub fn awaits_body(&self, tx: &HttpTransaction) -> bool {
        matches!(self.state, State::Body(_)) && tx.request_body.seen == 0
    }

    pub fn memory(&self) -> usize {
        self.lines.memory()
    }

    /// What comes next will be kept: lines, not the bytes of a body.
    pub fn collects(&self) -> bool {
        !self.lines.is_empty() || matches!(self.state, State::Line | State::Headers)
    }
}

/// Method, target and protocol of a request line. Spaces inside the target are kept: the last one ends it, as Suricata
/// 8 reads it.
fn parse_line(line: &[u8], tx: &mut HttpTransaction) {
    let line = trim(line);
    let method = line.iter().position(|&b| is_space(b)).unwrap_or(line.len());
    tx.method = line[..method].to_vec();
    let rest = trim(&line[method..]);
    let split = rest.iter().rposition(|&b| b == b' ').or_else(|| rest.iter().rposition(|&b| is_space(b)));
    let (target, protocol) = split.map_or((rest, &[][..]), |at| rest.split_at(at));
    tx.target = trim(target).to_vec();
    tx.protocol = trim(protocol).to_vec();
    tx.request_line_done();
}

impl Http {
    pub(super) fn request_data(&mut self, mut data: &[u8], cx: &mut AppContext<'_>) {
        while !data.is_empty() {
            match self.requests.state {
                State::Line | State::Headers => {
                    let line = match self.requests.lines.next(&mut data) {
                        Ok(Some(line)) => line,
                        Ok(None) => return,
                        Err(_) => return self.lose(Direction::ToServer, true, cx),
                    };
                    if !self.request_text(&line, data, cx) {
                        return self.lose(Direction::ToServer, true, cx);
                    }
                }
                State::Body(framing) => {
                    if !self.request_body(framing, &mut data, cx) {
                        return;
                    }
                }
                // Bytes sent ahead of the proxy's answer are the tunnel's.
                State::Connect | State::Stopped => return,
            }
        }
    }

    /// One line before a body; `rest` is what came behind it. False: give up.
    fn request_text(&mut self, line: &[u8], rest: &[u8], cx: &mut AppContext<'_>) -> bool {
        if self.requests.state == State::Line {
            if is_empty(line) {
                return true;
            }
            let Some(tx) = self.begin(cx) else { return false };
            parse_line(line, tx);
            let old = tx.protocol.is_empty() && rest.len() <= MAX_OLD_JUNK_BYTES && rest.iter().all(|&b| is_space(b));
            self.requests.state = State::Headers;
            if old {
                self.request_headers_done(cx);
            }
            return true;
        }
        if is_empty(line) {
            self.request_headers_done(cx);
            return true;
        }
        self.open.back_mut().is_some_and(|tx| tx.request_headers.add_line(line, false).is_ok())
    }

    fn request_headers_done(&mut self, cx: &mut AppContext<'_>) {
        let Some(tx) = self.open.back_mut() else { return };
        let framing = if tx.is_method("CONNECT") {
            None
        } else if tx.request_headers.mentions("transfer-encoding", "chunked") {
            Some(Framing::ChunkSize)
        } else {
            tx.request_headers
                .get("content-length")
                .and_then(content_length)
                .filter(|&len| len > 0)
                .map(Framing::Length)
        };
        tx.reach(Stage::Request, cx);
        let connect = tx.is_method("CONNECT");
        if framing.is_some() {
            let decoder = tx
                .request_headers
                .joined("content-encoding")
                .and_then(|value| Decoder::for_encoding(&value, cx.config.body_limit));
            tx.request_body.decode_with(decoder);
        }
        match framing {
            Some(framing) => self.requests.state = State::Body(framing),
            None => self.request_done(cx),
        }
        if connect {
            self.requests.state = State::Connect;
        }
    }

    /// Bytes of a body; false: all of `data` is used up.
    fn request_body(&mut self, mut framing: Framing, data: &mut &[u8], cx: &mut AppContext<'_>) -> bool {
        let piece = framing.take(&mut self.requests.lines, data);
        self.requests.state = State::Body(framing);
        let Some(tx) = self.open.back_mut() else { return false };
        match piece {
            Piece::Data(bytes) => {
                if cx.memory_full && !tx.request_body.is_full() {
                    cx.counters.http_memory_drops += 1;
                    tx.request_body.close();
                }
                if tx.request_body.push(bytes, cx.config.body_limit).is_err() {
                    cx.counters.http_decode_errors += 1;
                }
                if tx.request_body.is_full() {
                    tx.reach(Stage::RequestBody, cx);
                }
                if framing == Framing::Length(0) {
                    self.request_done(cx);
                }
                true
            }
            Piece::More => false,
            Piece::Done => {
                self.request_done(cx);
                true
            }
            Piece::Broken(_) => {
                self.lose(Direction::ToServer, true, cx);
                false
            }
        }
    }

    /// The request is complete.
    pub(super) fn request_done(&mut self, cx: &mut AppContext<'_>) {
        self.requests.state = State::Line;
        let answered = !self.responses.is_stopped();
        if let Some(tx) = self.open.back_mut() {
            tx.request_done = true;
            tx.reach(Stage::RequestBody, cx);
            if !answered {
                tx.response_done = true;
                tx.reach_all(cx);
            }
        }
        let last = self.open.len().wrapping_sub(1);
        self.refresh(last);
        self.reap();
    }

    /// `len` bytes are missing; false: where the next request begins is unknown.
    pub(super) fn request_gap(&mut self, len: u64) -> bool {
        match &mut self.requests.state {
            State::Body(framing) => {
                if let Some(tx) = self.open.back_mut() {
                    tx.request_body.lost();
                }
                framing.skip(len)
            }
            State::Stopped | State::Connect => true,
            State::Line | State::Headers => false,
        }
    }

    /// No more comes: what stands there without a line end counts as a line.
    pub(super) fn request_end(&mut self, cx: &mut AppContext<'_>) {
        if matches!(self.requests.state, State::Line | State::Headers) {
            let partial = self.requests.lines.take_partial();
            if !chomp(&partial).is_empty() {
                self.request_text(&partial, &[], cx);
            }
            if self.requests.state == State::Headers {
                self.request_headers_done(cx);
            }
        }
    }
}
