//! From a frame to a decoded IP packet.
//!
//! Rules of this folder: every frame ends as a packet, as a held fragment or as one counted [`Reason`]; nothing panics, nothing
//! is allocated per packet except for fragments, and those within a fixed budget. Time is the packet's own.
//!
//! A new link type is a row in `link`; a new upper layer a function in `transport`.

pub mod checksum;
mod counters;
mod datagram;
mod defrag;
mod ip;
mod link;
mod read;
mod transport;
pub mod tunnel;

pub use counters::{Counters, Ignored, Reason};
pub use defrag::Overlap;

use crate::packet::{Frame, Packet, L4};
use defrag::{Defrag, Outcome};

/// What the decoder may be told.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Refuse datagrams with a bad checksum. Off for live interfaces whose card fills checksums in after the tap.
    pub verify_checksums: bool,
    /// Which of two overlapping fragments wins.
    pub overlap: Overlap,
    /// Memory for all incomplete datagrams together.
    pub defrag_memcap_bytes: usize,
    /// Age at which an incomplete datagram is given up, by packet time.
    pub defrag_timeout_ns: u64,
}

impl Default for Config {
    fn default() -> Self {
        // 32 MiB and 60 s are what Suricata's own configuration ships with (defrag.memcap, defrag.timeout).
        Self {
            verify_checksums: true,
            overlap: Overlap::Bsd,
            defrag_memcap_bytes: 32 << 20,
            defrag_timeout_ns: 60_000_000_000,
        }
    }
}

/// What became of a frame.
#[derive(Debug, Clone, Copy)]
pub enum Decoded<'a> {
    /// A whole IP datagram.
    Packet(Packet<'a>),
    /// A fragment, held until its datagram is complete.
    Fragment,
    /// Not delivered, and why.
    Ignored(Reason),
}

/// Decodes frames one after another.
#[derive(Debug)]
pub struct Decoder {
    config: Config,
    counters: Counters,
    defrag: Defrag,
}

impl Decoder {
    /// A decoder that has seen nothing.
    pub fn new(config: Config) -> Self {
        Self { config, counters: Counters::default(), defrag: Defrag::new(&config) }
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Bytes held for incomplete datagrams.
    pub fn defrag_memory_bytes(&self) -> usize {
        self.defrag.memory_bytes()
    }

    /// Decodes one frame. A reassembled datagram is borrowed from the decoder, anything else from the frame.
    #[inline]
    pub fn decode<'a>(&'a mut self, frame: &Frame<'a>) -> Decoded<'a> {
        let Self { config, counters, defrag } = self;
        counters.frames += 1;
        counters.bytes += u64::from(frame.original_len);
        match one(*config, counters, defrag, frame) {
            Ok(Some(packet)) => {
                counters.packets += 1;
                match packet.l4 {
                    L4::Tcp(_) => counters.tcp += 1,
                    L4::Udp { .. } => counters.udp += 1,
                    L4::Icmp { .. } => counters.icmp += 1,
                    L4::Other => {}
                }
                if packet.src.is_ipv4() {
                    counters.ipv4 += 1;
                } else {
                    counters.ipv6 += 1;
                }
                counters.vlan += u64::from(packet.vlan[0] != 0);
                Decoded::Packet(packet)
            }
            Ok(None) => Decoded::Fragment,
            Err(reason) => {
                counters.ignored.count(reason);
                Decoded::Ignored(reason)
            }
        }
    }
}

#[inline]
fn one<'a>(
    config: Config,
    counters: &mut Counters,
    defrag: &'a mut Defrag,
    frame: &Frame<'a>,
) -> Result<Option<Packet<'a>>, Reason> {
    let link = link::strip(frame)?;
    let cut = u64::from(frame.original_len) > frame.data.len() as u64;
    let data = frame.data.get(link.offset..).unwrap_or_default();
    let mut datagram = ip::parse(data, link.version, cut, config.verify_checksums)?;
    if let Some(fragment) = datagram.fragment {
        match defrag.insert(frame.ts_ns, link.vlan, &datagram, fragment, counters)? {
            Outcome::Held => return Ok(None),
            Outcome::Complete(whole) => {
                datagram = ip::parse(whole, 0, false, false)?;
                if datagram.fragment.is_some() {
                    return Err(Reason::FragmentNested);
                }
            }
        }
    }
    let (l4, payload) = transport::parse(&datagram, config.verify_checksums, counters)?;
    counters.truncated += u64::from(datagram.cut);
    Ok(Some(Packet {
        ts_ns: frame.ts_ns,
        source: frame.source,
        vlan: link.vlan,
        ip: datagram.ip,
        src: datagram.src,
        dst: datagram.dst,
        proto: datagram.proto,
        l4,
        payload,
    }))
}
