//! What the decoder counts, and the closed list of reasons why a frame is not delivered.
//!
//! Rules of this file: data only. Each reason has exactly one counter; reasons are append-only, because their names are
//! the names operators see in `stats`.

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $variant:ident => $field:ident,)*) => {
        /// Why a frame was not delivered as a packet.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Reason {
            /// All reasons, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The counter's name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($field),)*
                }
            }

            /// The counter's name among those of the whole engine.
            pub fn stat_name(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!("ignored_", stringify!($field)),)*
                }
            }
        }

        /// Frames not delivered, by reason.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Ignored {
            $($(#[doc = $doc])* pub $field: u64,)*
        }

        impl Ignored {
            /// Counts one frame.
            pub fn count(&mut self, reason: Reason) {
                match reason {
                    $(Reason::$variant => self.$field += 1,)*
                }
            }

            /// The count of one reason.
            pub fn get(&self, reason: Reason) -> u64 {
                match reason {
                    $(Reason::$variant => self.$field,)*
                }
            }
        }
    };
}

reasons! {
    /// A link type the engine does not decode.
    LinkUnknown => link_unknown,
    /// The frame is shorter than its link header.
    LinkShort => link_short,
    /// The frame carries something else than IP (ARP, STP, LLDP...).
    NotIp => not_ip,
    /// More VLAN tags than a switch would send.
    VlanDeep => vlan_deep,
    /// The version nibble is not the one the link header promised, or neither 4 nor 6.
    IpVersion => ip_version,
    /// The IP header is cut, or its header length field is too small.
    IpHeader => ip_header,
    /// The length field names less than the header, or more than the frame has.
    IpLength => ip_length,
    /// A chain of IPv6 extension headers that runs past the end or is longer than the limit.
    Ipv6Extension => ipv6_extension,
    /// Bad IPv4 header checksum.
    ChecksumIp => checksum_ip,
    /// Bad TCP checksum.
    ChecksumTcp => checksum_tcp,
    /// Bad UDP checksum.
    ChecksumUdp => checksum_udp,
    /// Bad `ICMPv4` or `ICMPv6` checksum.
    ChecksumIcmp => checksum_icmp,
    /// A fragment that no datagram can have: past 65,535 bytes (ping of death), empty, or not a multiple of 8 in the middle.
    FragmentBad => fragment_bad,
    /// A fragment that contradicts the end its datagram already has.
    FragmentConflict => fragment_conflict,
    /// A fragment beyond the limit of pieces for one datagram or of memory for all.
    FragmentLimit => fragment_limit,
    /// A fragment that the capture cut short: it cannot be put together.
    FragmentCut => fragment_cut,
    /// A reassembled datagram that claims to be a fragment again.
    FragmentNested => fragment_nested,
}

/// Everything the decoder counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames seen.
    pub frames: u64,
    /// Bytes those frames had on the wire.
    pub bytes: u64,
    /// IP datagrams delivered.
    pub packets: u64,
    /// Of those, over IPv4.
    pub ipv4: u64,
    /// Of those, over IPv6.
    pub ipv6: u64,
    /// Of those, TCP.
    pub tcp: u64,
    /// Of those, UDP.
    pub udp: u64,
    /// Of those, ICMP of either kind.
    pub icmp: u64,
    /// Of those, with at least one VLAN tag.
    pub vlan: u64,
    /// Of those, cut short by the capture's snap length.
    pub truncated: u64,
    /// Of those, with a TCP header that does not fit the datagram: delivered without it.
    pub tcp_header_bad: u64,
    /// Of those, with a UDP header that does not fit the datagram: delivered without it.
    pub udp_header_bad: u64,
    /// Of those, with an ICMP header that does not fit the datagram: delivered without it.
    pub icmp_header_bad: u64,
    /// Fragments taken into reassembly.
    pub fragments: u64,
    /// Datagrams put together from fragments.
    pub reassembled: u64,
    /// Fragments that overlapped another one of their datagram with other bytes in play.
    pub fragment_overlaps: u64,
    /// Incomplete datagrams given up after the timeout.
    pub datagrams_timed_out: u64,
    /// Incomplete datagrams given up for want of memory.
    pub datagrams_evicted: u64,
    /// Frames not delivered, by reason.
    pub ignored: Ignored,
}

impl Counters {
    /// Frames dropped for a bad checksum of any layer.
    pub fn checksum_bad(&self) -> u64 {
        let i = &self.ignored;
        i.checksum_ip + i.checksum_tcp + i.checksum_udp + i.checksum_icmp
    }

    /// Frames that carry nothing the engine decodes.
    pub fn unknown(&self) -> u64 {
        self.ignored.link_unknown + self.ignored.not_ip
    }

    /// Fragments refused.
    pub fn fragments_dropped(&self) -> u64 {
        let i = &self.ignored;
        i.fragment_bad + i.fragment_conflict + i.fragment_limit + i.fragment_cut + i.fragment_nested
    }
}
