//! A rule while its options are read: what the keywords' parsers write into.

use super::check::{BufferCheck, PacketCheck};
use super::header::Header;
use super::keyword::content::Content;
use super::keyword::flowbits::{FlowBit, Names};
use super::keyword::pcre::Expressions;
use super::keyword::threshold::Threshold;
use super::model::{Buffer, Check, FlowNeeds, Target};
use crate::inspect::BufferId;

/// Most checks of one rule; bounds the depth of the chain's recursion. The longest real rules have about 60.
pub const MAX_CHECKS: usize = 256;

/// What the rules of one set share while they are read.
#[derive(Debug, Default)]
pub struct Shared {
    /// Names of flow bits.
    pub bits: Names,
    /// Compiled expressions, each distinct one once.
    pub expressions: Expressions,
}

/// A chain being written.
#[derive(Debug)]
pub struct DraftChain {
    /// Which buffer.
    pub buffer: Buffer,
    /// Its checks so far.
    pub checks: Vec<Check>,
}

/// The rule so far.
#[derive(Debug)]
pub struct Draft<'a> {
    /// Its header.
    pub header: Header,
    /// What it shares with the others.
    pub shared: &'a mut Shared,
    /// Chains in the order in which their buffers first came.
    pub chains: Vec<DraftChain>,
    /// Index of the chain that a sticky buffer keyword has opened.
    sticky: Option<usize>,
    /// Chain of the last content.
    last_content: Option<usize>,
    /// Chain of the last check of any kind.
    last_check: Option<usize>,
    /// `flow`
    pub flow: FlowNeeds,
    /// `flowbits`
    pub flowbits: Vec<FlowBit>,
    /// `threshold`
    pub threshold: Option<Threshold>,
    /// `noalert`
    pub noalert: bool,
    /// Checks on headers.
    pub packet_checks: Vec<Box<dyn PacketCheck>>,
    /// A keyword looks at single packets.
    pub packets_only: bool,
    /// `msg`
    pub msg: Option<Box<str>>,
    /// `sid`
    pub sid: Option<u32>,
    /// `gid`
    pub gid: Option<u32>,
    /// `rev`
    pub rev: Option<u32>,
    /// `classtype`
    pub classtype: Option<Box<str>>,
    /// `priority`
    pub priority: Option<u8>,
    /// `reference`
    pub references: Vec<(Box<str>, Box<str>)>,
    /// `metadata`
    pub metadata: Vec<(Box<str>, Box<str>)>,
    /// `target`
    pub target: Option<Target>,
}

impl<'a> Draft<'a> {
    /// An empty rule under `header`.
    pub fn new(header: Header, shared: &'a mut Shared) -> Self {
        Self {
            header,
            shared,
            chains: Vec::new(),
            sticky: None,
            last_content: None,
            last_check: None,
            flow: FlowNeeds::default(),
            flowbits: Vec::new(),
            threshold: None,
            noalert: false,
            packet_checks: Vec::new(),
            packets_only: false,
            msg: None,
            sid: None,
            gid: None,
            rev: None,
            classtype: None,
            priority: None,
            references: Vec::new(),
            metadata: Vec::new(),
            target: None,
        }
    }

    /// Opens a sticky buffer. A buffer that can occur several times in a transaction begins a new chain each time, because
    /// each use may be met by another one; the others go on with the chain they have.
    ///
    /// # Errors
    /// The sticky buffer opened before is still empty.
    pub fn open(&mut self, buffer: Buffer) -> Result<(), String> {
        if self.sticky.is_some_and(|at| self.chains[at].checks.is_empty()) {
            return Err("the sticky buffer before it has nothing to match".into());
        }
        let several = matches!(buffer, Buffer::Of(BufferId::DnsQuery) | Buffer::File);
        let known = if several { None } else { self.chains.iter().position(|chain| chain.buffer == buffer) };
        self.sticky = Some(known.unwrap_or_else(|| {
            self.chains.push(DraftChain { buffer, checks: Vec::new() });
            self.chains.len() - 1
        }));
        Ok(())
    }

    /// Closes the sticky buffer: what follows is about the payload again (`pkt_data`).
    pub fn close(&mut self) {
        self.sticky = None;
    }

    /// The buffer a sticky keyword has opened.
    pub fn open_buffer(&self) -> Option<Buffer> {
        self.sticky.map(|at| self.chains[at].buffer)
    }

    /// Whether a sticky buffer was opened and nothing follows it.
    pub fn dangling_buffer(&self) -> bool {
        self.sticky.is_some_and(|at| self.chains[at].checks.is_empty())
    }

    fn chain_of(&mut self, buffer: Buffer) -> usize {
        self.chains.iter().position(|chain| chain.buffer == buffer).unwrap_or_else(|| {
            self.chains.push(DraftChain { buffer, checks: Vec::new() });
            self.chains.len() - 1
        })
    }

    fn current(&mut self) -> usize {
        match self.sticky {
            Some(at) => at,
            None => self.chain_of(Buffer::Of(BufferId::Payload)),
        }
    }

    fn push(&mut self, chain: usize, check: Check) -> Result<(), String> {
        if self.chains.iter().map(|chain| chain.checks.len()).sum::<usize>() >= MAX_CHECKS {
            return Err(format!("a rule may have {MAX_CHECKS} checks"));
        }
        self.chains[chain].checks.push(check);
        self.last_check = Some(chain);
        Ok(())
    }

    /// Adds a content to the current buffer.
    ///
    /// # Errors
    /// The rule has too many checks.
    pub fn add_content(&mut self, content: Content) -> Result<(), String> {
        let chain = self.current();
        self.last_content = Some(chain);
        self.push(chain, Check::Content(content))
    }

    /// Adds another check to the current buffer, or to `buffer`.
    ///
    /// # Errors
    /// The rule has too many checks.
    pub fn add_check(&mut self, buffer: Option<Buffer>, check: Box<dyn BufferCheck>) -> Result<(), String> {
        let chain = match buffer {
            Some(buffer) => self.chain_of(buffer),
            None => self.current(),
        };
        self.push(chain, Check::Other(check))
    }

    /// Adds a check to the open sticky buffer. Without one, a `relative` check goes to the buffer of the check it counts from,
    /// which may have been named after it (`uricontent`, `http_uri`), and any other to the payload.
    ///
    /// # Errors
    /// The rule has too many checks.
    pub fn add_placed_check(&mut self, check: Box<dyn BufferCheck>, relative: bool) -> Result<(), String> {
        let chain = match (self.sticky, self.last_check) {
            (None, Some(last)) if relative => last,
            _ => self.current(),
        };
        self.push(chain, Check::Other(check))
    }

    /// The last content, for the keywords that modify it.
    ///
    /// # Errors
    /// There is none.
    pub fn last_content(&mut self) -> Result<&mut Content, String> {
        let chain = self.last_content.ok_or("it needs a content before it")?;
        let found = self.chains[chain].checks.iter_mut().rev().find_map(|check| match check {
            Check::Content(content) => Some(content),
            Check::Other(_) => None,
        });
        found.ok_or_else(|| "it needs a content before it".into())
    }

    /// Moves the last content to `buffer`: the old spelling, where the buffer follows its content.
    ///
    /// # Errors
    /// There is no content, it is in a sticky buffer, or it was moved before.
    pub fn move_last_content(&mut self, buffer: Buffer) -> Result<(), String> {
        if self.sticky.is_some() {
            return Err("it changes the content before it and cannot be used while a sticky buffer is open".into());
        }
        let from = self.last_content.ok_or("it needs a content before it")?;
        if self.chains[from].buffer != Buffer::Of(BufferId::Payload) {
            return Err("the content before it has a buffer already".into());
        }
        let at = self.chains[from].checks.iter().rposition(|check| matches!(check, Check::Content(_)));
        let check = self.chains[from].checks.remove(at.ok_or("it needs a content before it")?);
        let to = self.chain_of(buffer);
        self.chains[to].checks.push(check);
        self.last_content = Some(to);
        self.last_check = Some(to);
        Ok(())
    }
}
