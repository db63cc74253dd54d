//! The words that capture, decode, flow, stream, app and detect share: a frame, a decoded packet, its layer-4 view.
//!
//! Rules of this file: data only, no parsing, no I/O; everything borrows from the frame (or the defragmenter's buffer).

use std::net::IpAddr;

/// How the bytes of a frame begin (the subset of `LINKTYPE_*` values that the engine decodes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkType {
    /// `LINKTYPE_NULL` (0): 4-byte address family in host order of the writer.
    Null,
    /// `LINKTYPE_ETHERNET` (1).
    Ethernet,
    /// `LINKTYPE_RAW` (101) and `DLT_RAW` (12): an IPv4 or IPv6 header comes first.
    Raw,
    /// `LINKTYPE_LINUX_SLL` (113).
    LinuxSll,
    /// `LINKTYPE_LINUX_SLL2` (276).
    LinuxSll2,
    /// `LINKTYPE_PPP` (9).
    Ppp,
    /// Anything else: counted as not decoded.
    Unknown(u16),
}

/// One captured frame, borrowed from a mapped file or the capture ring.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Capture time, nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// How `data` begins.
    pub link: LinkType,
    /// The captured bytes.
    pub data: &'a [u8],
    /// Length on the wire; more than `data.len()` when the capture cut the frame.
    pub original_len: u32,
    /// Which source: the index of the file, or of the interface.
    pub source: u32,
    /// VLAN tag control information the kernel took off before handing the frame over (0 = none).
    pub kernel_vlan: u16,
}

/// TCP flag bits as they stand in the header (RFC 9293 section 3.1).
pub mod tcp_flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement field is significant.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is significant.
    pub const URG: u8 = 0x20;
}

/// The TCP header fields the engine uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpHeader {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Flag bits, see [`tcp_flags`].
    pub flags: u8,
    /// Window as sent, unscaled.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
    /// Window scale option, when present.
    pub window_scale: Option<u8>,
    /// Timestamps option (`TSval`, `TSecr`), when present.
    pub timestamps: Option<(u32, u32)>,
}

/// The layer-4 header of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum L4 {
    /// TCP.
    Tcp(TcpHeader),
    /// UDP: source and destination port.
    Udp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
    },
    /// `ICMPv4` or `ICMPv6`.
    Icmp {
        /// Message type.
        kind: u8,
        /// Message code.
        code: u8,
        /// Identifier of echo messages, 0 otherwise.
        ident: u16,
    },
    /// Anything else, a later fragment, or a header cut short.
    Other,
}

/// IP protocol numbers the engine names.
pub mod ip_proto {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
}

/// One decoded IP packet (a whole datagram: fragments arrive here only reassembled).
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Capture time, nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// Index of the source the frame came from.
    pub source: u32,
    /// VLAN ids from the outside in, 0 where there is none.
    pub vlan: [u16; 2],
    /// The IP datagram from its first header byte to the end its length field names (link padding is cut off).
    pub ip: &'a [u8],
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// IP protocol number of the layer above (after IPv6 extension headers).
    pub proto: u8,
    /// The layer-4 header.
    pub l4: L4,
    /// What follows the layer-4 header (everything after the IP headers for [`L4::Other`]).
    pub payload: &'a [u8],
}

impl Packet<'_> {
    /// Source and destination port; (0, 0) for protocols without ports.
    pub fn ports(&self) -> (u16, u16) {
        match self.l4 {
            L4::Tcp(h) => (h.sport, h.dport),
            L4::Udp { sport, dport } => (sport, dport),
            L4::Icmp { .. } | L4::Other => (0, 0),
        }
    }
}
