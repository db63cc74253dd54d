//! The server's side: status lines, header fields, bodies.

use super::body::{Framing, Piece};
use super::decompress::Decoder;
use super::headers::content_length;
use super::lines::{chomp, is_empty, is_space, trim, Lines};
use super::transaction::HttpTransaction;
use super::Http;
use crate::app::AppContext;
use crate::inspect::{Direction, Stage};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Line,
    Headers,
    Body(Framing),
    /// Given up, or not HTTP any more.
    Stopped,
}

/// Where the server's side stands.
#[derive(Debug, Default)]
pub(super) struct Responses {
    state: State,
    lines: Lines,
}

impl Responses {
    pub fn stop(&mut self) {
        *self = Self { state: State::Stopped, lines: Lines::default() };
    }

    pub fn is_stopped(&self) -> bool {
        self.state == State::Stopped
    }

    pub fn memory(&self) -> usize {
        self.lines.memory()
    }

    /// What comes next will be kept: lines, not the bytes of a body.
    pub fn collects(&self) -> bool {
        !self.lines.is_empty() || matches!(self.state, State::Line | State::Headers)
    }
}

/// Whether a line can be a status line: browsers only look for "http" (libhtp reads anything else as the body of an
/// answer without a header).
fn is_status_line(line: &[u8]) -> bool {
    line[blanks(line)..].get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"http"))
}

/// Length of the white space (and NUL bytes) before the first word.
fn blanks(data: &[u8]) -> usize {
    data.iter().position(|&b| !is_space(b) && b != 0).unwrap_or(data.len())
}

/// Whether a status line begins or may begin with this word.
fn may_be_status_line(word: &[u8]) -> bool {
    let n = word.len().min(4);
    word[..n].eq_ignore_ascii_case(&b"http"[..n])
}

impl Http {
    pub(super) fn response_data(&mut self, mut data: &[u8], cx: &mut AppContext<'_>) {
        while !data.is_empty() {
            match self.responses.state {
                State::Line | State::Headers => {
                    let line = match self.responses.lines.next_lenient(&mut data) {
                        Ok(Some(line)) => line,
                        Ok(None) => return,
                        Err(_) => return self.lose(Direction::ToClient, true, cx),
                    };
                    if !self.response_text(&line, data, cx) {
                        return self.lose(Direction::ToClient, true, cx);
                    }
                }
                State::Body(framing) => {
                    if !self.response_body(framing, &mut data, cx) {
                        return;
                    }
                }
                State::Stopped => return,
            }
        }
    }

    /// One line before a body; `rest` is what came behind it. False: give up.
    fn response_text(&mut self, line: &[u8], rest: &[u8], cx: &mut AppContext<'_>) -> bool {
        if self.responses.state == State::Line {
            let status_line = is_status_line(line);
            // Junk before a status line is passed over, as libhtp does.
            let junk = !status_line && (chomp(line).len() <= 2 || rest.first() == Some(&b'H'));
            if is_empty(line) || junk {
                return true;
            }
            let Some(index) = self.answering().or_else(|| self.begin_unasked(cx)) else { return false };
            let tx = &mut self.open[index];
            if status_line {
                let mut words = trim(line).split(|&b| is_space(b)).filter(|w| !w.is_empty()).skip(1);
                tx.status = words.next().unwrap_or_default().to_vec();
                self.responses.state = State::Headers;
            } else {
                tx.reach(Stage::Response, cx);
                self.responses.state = State::Body(Framing::UntilClose);
                self.keep(line, cx);
            }
            return true;
        }
        if is_empty(line) {
            return self.response_headers_done(cx);
        }
        self.answered().is_some_and(|tx| tx.response_headers.add_line(line, true).is_ok())
    }

    fn answered(&mut self) -> Option<&mut HttpTransaction> {
        self.open.iter_mut().find(|tx| !tx.response_done)
    }

    /// An answer without a question: the request was not seen. Its place.
    fn begin_unasked(&mut self, cx: &mut AppContext<'_>) -> Option<usize> {
        let tx = self.begin(cx)?;
        tx.request_done = true;
        tx.reach(Stage::Request, cx);
        tx.reach(Stage::RequestBody, cx);
        Some(self.open.len() - 1)
    }

    /// What follows the header (RFC 9112 section 6.3, with libhtp's leniencies); false: it cannot be known.
    fn response_headers_done(&mut self, cx: &mut AppContext<'_>) -> bool {
        let Some(index) = self.answering() else { return false };
        let tx = &mut self.open[index];
        let headers = &tx.response_headers;
        let code = tx.status_code();
        let length = headers.get("content-length").map(content_length);
        let coded = headers.get("transfer-encoding").is_some();
        let framed = length.is_some() || coded;
        let connect = tx.is_method("CONNECT");
        if matches!(code, 100 | 102 | 103) && !coded && length.flatten().unwrap_or(0) == 0 {
            // An interim answer: the real one follows (RFC 9110 section 15.2).
            tx.response_headers.clear();
            tx.status.clear();
            self.responses.state = State::Line;
            return true;
        }
        let tunnel = (connect && (200..=299).contains(&code)) || (code == 101 && !framed);
        let bodiless = tx.is_method("HEAD") || (matches!(code, 100..=199 | 204 | 304) && !framed);
        let framing = if tunnel || bodiless {
            Framing::Length(0)
        } else if headers.mentions("transfer-encoding", "chunked") {
            Framing::ChunkSize
        } else {
            match length {
                Some(Some(len)) => Framing::Length(len),
                Some(None) => return false,
                None => Framing::UntilClose,
            }
        };
        if framing != Framing::Length(0) {
            let decoder = headers
                .joined("content-encoding")
                .and_then(|value| Decoder::for_encoding(&value, cx.config.body_limit));
            tx.response_body.decode_with(decoder);
        }
        let refused =
            (400..=499).contains(&code) && !tx.request_done && tx.request_headers.mentions("expect", "100-continue");
        let abandoned = refused && self.requests.awaits_body(tx);
        tx.reach(Stage::Response, cx);
        if abandoned && self.open.len() == index + 1 {
            // The client will not send the body it announced (RFC 9110 section 10.1.1).
            self.request_done(cx);
        }
        if connect && !tunnel {
            self.requests.connect_refused();
        }
        self.responses.state = State::Body(framing);
        if framing == Framing::Length(0) {
            self.response_done(cx);
        }
        if tunnel {
            self.tunnel();
        }
        true
    }

    /// Bytes of a body; false: all of `data` is used up.
    fn response_body(&mut self, mut framing: Framing, data: &mut &[u8], cx: &mut AppContext<'_>) -> bool {
        let piece = framing.take(&mut self.responses.lines, data);
        self.responses.state = State::Body(framing);
        match piece {
            Piece::Data(bytes) => {
                self.keep(bytes, cx);
                if framing == Framing::Length(0) {
                    self.unexpected(data, cx);
                    self.response_done(cx);
                }
                true
            }
            Piece::More => false,
            Piece::Done => {
                self.response_done(cx);
                true
            }
            Piece::Broken(line) => {
                // No chunks after all: browsers show what comes.
                cx.counters.http_errors += 1;
                self.responses.state = State::Body(Framing::UntilClose);
                self.keep(&line, cx);
                true
            }
        }
    }

    /// More came with the end of the body than was announced: what is no status line belongs to it, as browsers show
    /// it.
    fn unexpected(&mut self, data: &mut &[u8], cx: &mut AppContext<'_>) {
        while !data.is_empty() {
            // Empty lines go with the line behind them, so that each byte is looked at once.
            let start = blanks(data);
            if may_be_status_line(&data[start..]) {
                return;
            }
            let end = memchr::memchr(b'\n', &data[start..]).map_or(data.len(), |end| start + end + 1);
            let (lines, rest) = data.split_at(end);
            self.keep(lines, cx);
            *data = rest;
        }
    }

    fn keep(&mut self, bytes: &[u8], cx: &mut AppContext<'_>) {
        let Some(tx) = self.answered() else { return };
        if cx.memory_full && !tx.response_body.is_full() {
            cx.counters.http_memory_drops += 1;
            tx.response_body.close();
        }
        if tx.response_body.push(bytes, cx.config.body_limit).is_err() {
            cx.counters.http_decode_errors += 1;
        }
        if tx.response_body.is_full() {
            tx.reach(Stage::ResponseBody, cx);
        }
    }

    fn response_done(&mut self, cx: &mut AppContext<'_>) {
        self.responses.state = State::Line;
        if let Some(index) = self.answering() {
            let tx = &mut self.open[index];
            tx.response_body.close();
            tx.response_done = true;
            tx.reach(Stage::ResponseBody, cx);
            self.refresh(index);
        }
        self.reap();
    }

    /// `len` bytes are missing; false: where the next answer begins is unknown.
    pub(super) fn response_gap(&mut self, len: u64) -> bool {
        match &mut self.responses.state {
            State::Body(framing) => {
                let known = framing.skip(len);
                if let Some(tx) = self.open.iter_mut().find(|tx| !tx.response_done) {
                    // Compressed data with a hole decodes to nothing sensible; what follows plain data is still worth
                    // seeing.
                    tx.response_body.lost();
                }
                known
            }
            State::Stopped => true,
            State::Line | State::Headers => false,
        }
    }

    /// No more comes: what stands there without a line end counts as a line.
    pub(super) fn response_end(&mut self, cx: &mut AppContext<'_>) {
        if self.responses.state == State::Body(Framing::ChunkSize) {
            let partial = self.responses.lines.take_partial();
            self.keep(&partial, cx);
        }
        if matches!(self.responses.state, State::Line | State::Headers) {
            let partial = self.responses.lines.take_partial();
            if !chomp(&partial).is_empty() {
                self.response_text(&partial, &[], cx);
            }
            if self.responses.state == State::Headers {
                self.response_headers_done(cx);
            }
        }
    }
}
