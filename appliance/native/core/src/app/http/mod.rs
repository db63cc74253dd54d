//! HTTP/1 as an IDS reads it: tolerant, incremental, both directions paired into transactions in order.
//!
//! Rules: reads what servers and browsers would read, not what the RFCs allow (libhtp's IDS personality is the model
//! where they differ); a direction that cannot be read further is given up alone, counted, and what was known of its
//! transactions is told. Sources: RFC 9110, RFC 9112. Bounded: lines, fields, bodies and open transactions have limits,
//! and when the memory of all flows is used up, no direction keeps any more of them.

mod body;
mod decompress;
mod headers;
mod lines;
mod request;
mod response;
mod transaction;
mod uri;

use super::{AppContext, AppParser, Match, Probe, Protocol, Transport};
use crate::inspect::{AppProto, Direction, Stage};
use std::collections::VecDeque;
use transaction::HttpTransaction;

/// Row in the table of protocols.
pub const PROTOCOL: Protocol =
    Protocol { app: AppProto::Http, transport: Transport::Tcp, probe, new: || Box::<Http>::default() };

/// Transactions that may be open at once (libhtp's default): a client that pipelines more is not answered any more.
const MAX_OPEN: usize = 512;

/// Methods a request may begin with, as Suricata recognises HTTP by.
const METHODS: [&str; 28] = [
    "GET",
    "PUT",
    "POST",
    "HEAD",
    "TRACE",
    "OPTIONS",
    "CONNECT",
    "DELETE",
    "PATCH",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "CHECKOUT",
    "UNCHECKOUT",
    "CHECKIN",
    "UPDATE",
    "LABEL",
    "REPORT",
    "MKWORKSPACE",
    "MKACTIVITY",
    "MERGE",
    "INVALID",
    "VERSION-CONTROL",
    "BASELINE-CONTROL",
];
const VERSIONS: [&str; 3] = ["HTTP/0.9", "HTTP/1.0", "HTTP/1.1"];

/// How `data` compares with a beginning, ignoring case; `then` must follow it.
fn begins(data: &[u8], word: &str, then: &[u8]) -> Match {
    let n = data.len().min(word.len());
    if !data[..n].eq_ignore_ascii_case(&word.as_bytes()[..n]) {
        return Match::No;
    }
    match data.get(word.len()) {
        None if n < word.len() || !then.is_empty() => Match::More,
        Some(byte) if !then.is_empty() && !then.contains(byte) => Match::No,
        _ => Match::Yes,
    }
}

fn probe(probe: &Probe<'_>) -> Match {
    let (words, then): (&[&str], &[u8]) = match probe.direction {
        Direction::ToServer => (&METHODS, b" \t"),
        Direction::ToClient => (&VERSIONS, b""),
    };
    let mut result = Match::No;
    for word in words {
        match begins(probe.data, word, then) {
            Match::Yes => return Match::Yes,
            Match::More => result = Match::More,
            Match::No => {}
        }
    }
    result
}

/// A flow's parser.
#[derive(Debug, Default)]
struct Http {
    requests: request::Requests,
    responses: response::Responses,
    open: VecDeque<HttpTransaction>,
    next_id: u64,
    held: usize,
}

impl Http {
    /// Begin a transaction; None when too many are open.
    fn begin(&mut self, cx: &mut AppContext<'_>) -> Option<&mut HttpTransaction> {
        if self.open.len() >= MAX_OPEN {
            return None;
        }
        cx.counters.http_transactions += 1;
        self.open.push_back(HttpTransaction::new(self.next_id));
        self.next_id += 1;
        self.open.back_mut()
    }

    /// Place of the transaction that the server answers now or next.
    fn answering(&self) -> Option<usize> {
        self.open.iter().position(|tx| !tx.response_done)
    }

    /// Let go of transactions that are over; they end in order.
    fn reap(&mut self) {
        while self.open.front().is_some_and(HttpTransaction::is_over) {
            if let Some(tx) = self.open.pop_front() {
                self.held -= tx.accounted;
            }
        }
    }

    /// Bring the sum of what the `index`-th open transaction holds up to date.
    fn refresh(&mut self, index: usize) {
        if let Some(tx) = self.open.get_mut(index) {
            let memory = tx.memory();
            self.held = self.held + memory - tx.accounted;
            tx.accounted = memory;
        }
    }

    /// The protocol has changed (CONNECT, Upgrade): neither direction is HTTP any more.
    fn tunnel(&mut self) {
        self.requests.stop();
        self.responses.stop();
    }

    /// The memory of all flows is used up: a direction that would keep more is given up, whoever used it.
    fn give_way(&mut self, direction: Direction, cx: &mut AppContext<'_>) -> bool {
        let collects = match direction {
            Direction::ToServer => self.requests.collects(),
            Direction::ToClient => self.responses.collects(),
        };
        if cx.memory_full && collects {
            cx.counters.http_memory_drops += 1;
            self.lose(direction, false, cx);
            return true;
        }
        false
    }

    /// A direction cannot be read further; an error is counted unless it just ended.
    fn lose(&mut self, direction: Direction, error: bool, cx: &mut AppContext<'_>) {
        cx.counters.http_errors += u64::from(error);
        match direction {
            Direction::ToServer => {
                self.requests.stop();
                if let Some(tx) = self.open.back_mut().filter(|tx| !tx.request_done) {
                    tx.request_done = true;
                    tx.request_body.close();
                    tx.reach(Stage::Request, cx);
                    tx.reach(Stage::RequestBody, cx);
                }
            }
            Direction::ToClient => {
                self.responses.stop();
                for tx in &mut self.open {
                    tx.response_done = true;
                    tx.response_body.close();
                    tx.reach(Stage::Response, cx);
                    tx.reach(Stage::ResponseBody, cx);
                }
            }
        }
        self.reap();
    }
}

impl AppParser for Http {
    fn data(&mut self, direction: Direction, data: &[u8], cx: &mut AppContext<'_>) {
        if self.give_way(direction, cx) {
            return;
        }
        match direction {
            Direction::ToServer => {
                self.request_data(data, cx);
                self.refresh(self.open.len().wrapping_sub(1));
            }
            Direction::ToClient => {
                self.response_data(data, cx);
                self.refresh(self.answering().unwrap_or(0));
            }
        }
        self.reap();
    }

    fn gap(&mut self, direction: Direction, len: u64, cx: &mut AppContext<'_>) {
        let skipped = match direction {
            Direction::ToServer => self.request_gap(len),
            Direction::ToClient => self.response_gap(len),
        };
        if !skipped {
            self.lose(direction, true, cx);
        }
    }

    fn end(&mut self, direction: Direction, cx: &mut AppContext<'_>) {
        match direction {
            Direction::ToServer => self.request_end(cx),
            Direction::ToClient => self.response_end(cx),
        }
        self.lose(direction, false, cx);
    }

    fn finish(&mut self, cx: &mut AppContext<'_>) {
        self.end(Direction::ToServer, cx);
        self.end(Direction::ToClient, cx);
        for mut tx in self.open.drain(..) {
            tx.reach_all(cx);
        }
        self.held = 0;
    }

    fn memory(&self) -> usize {
        std::mem::size_of::<Self>() + self.held + self.requests.memory() + self.responses.memory()
    }
}

#[cfg(test)]
mod tests;
