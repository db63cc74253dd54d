//! A rule's header: `action protocol source ports direction destination ports`.

use super::address::AddressSet;
use super::ports::PortSet;
use super::vars::Variables;
use crate::inspect::AppProto;
use crate::packet::ip_proto;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

/// What the rule asks for. A sensor that only listens alerts on all of them; the word is kept for the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `alert`
    Alert,
    /// `drop`
    Drop,
    /// `reject`, `rejectsrc`
    RejectSource,
    /// `rejectdst`
    RejectDestination,
    /// `rejectboth`
    RejectBoth,
}

impl Action {
    /// The word as it stands in rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Drop => "drop",
            Self::RejectSource => "reject",
            Self::RejectDestination => "rejectdst",
            Self::RejectBoth => "rejectboth",
        }
    }
}

/// Which IP protocols a header admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // Each is one protocol.
pub struct Layer4 {
    /// TCP.
    pub tcp: bool,
    /// UDP.
    pub udp: bool,
    /// ICMP of IPv4.
    pub icmp4: bool,
    /// ICMP of IPv6.
    pub icmp6: bool,
    /// Every other IP protocol.
    pub other: bool,
}

impl Layer4 {
    const NONE: Self = Self { tcp: false, udp: false, icmp4: false, icmp6: false, other: false };
    const ALL: Self = Self { tcp: true, udp: true, icmp4: true, icmp6: true, other: true };

    /// Whether packets of this IP protocol number are admitted.
    pub fn admits(self, proto: u8) -> bool {
        match proto {
            ip_proto::TCP => self.tcp,
            ip_proto::UDP => self.udp,
            ip_proto::ICMP => self.icmp4,
            ip_proto::ICMPV6 => self.icmp6,
            _ => self.other,
        }
    }
}

/// Which IP versions a header admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpVersion {
    /// Both.
    Any,
    /// `ipv4`, `ip4`
    V4,
    /// `ipv6`, `ip6`
    V6,
}

/// A parsed header. Address and port sets are not shared yet; see `set`.
#[derive(Debug, Clone)]
pub struct Header {
    /// Action.
    pub action: Action,
    /// Admitted layer-4 protocols.
    pub layer4: Layer4,
    /// Admitted IP versions.
    pub version: IpVersion,
    /// Application protocol named by the header.
    pub app: Option<AppProto>,
    /// `tcp-pkt`: packets only.
    pub packets_only: bool,
    /// `tcp-stream`: the stream only.
    pub stream_only: bool,
    /// Source addresses, as written.
    pub source: String,
    /// Source ports, as written.
    pub source_ports: String,
    /// Destination addresses, as written.
    pub destination: String,
    /// Destination ports, as written.
    pub destination_ports: String,
    /// `<>`: also with source and destination changed over.
    pub both_ways: bool,
}

/// Where a header breaks: the word that stands for the keyword in the refusal, and why.
pub type HeaderRefusal = (&'static str, String);

impl Header {
    /// Reads the text before the options.
    ///
    /// # Errors
    /// Names the part that is wrong or not supported.
    pub fn parse(text: &str) -> Result<Self, HeaderRefusal> {
        let fields = fields(text).map_err(|reason| ("header", reason))?;
        let [action, proto, source, source_ports, arrow, destination, destination_ports] = fields.as_slice() else {
            let reason = format!(
                "a header has 7 fields (action protocol source ports direction destination ports), this one has {}",
                fields.len()
            );
            return Err(("header", reason));
        };
        let action = self::action(action)?;
        let (layer4, version, app) = protocol(proto)?;
        let both_ways = match *arrow {
            "->" => false,
            "<>" => true,
            "=>" => return Err(("direction", "transactional rules (`=>`) are not supported".into())),
            other => return Err(("direction", format!("`{other}` is no direction; allowed are -> and <>"))),
        };
        Ok(Self {
            action,
            layer4,
            version,
            app,
            packets_only: *proto == "tcp-pkt",
            stream_only: *proto == "tcp-stream",
            source: (*source).to_owned(),
            source_ports: (*source_ports).to_owned(),
            destination: (*destination).to_owned(),
            destination_ports: (*destination_ports).to_owned(),
            both_ways,
        })
    }
}

/// Cuts at white space outside brackets.
fn fields(text: &str) -> Result<Vec<&str>, String> {
    let mut fields = Vec::new();
    let mut depth = 0_usize;
    let mut start = None;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.checked_sub(1).ok_or("a ']' too many in the header")?,
            _ => {}
        }
        if byte.is_ascii_whitespace() && depth == 0 {
            if let Some(from) = start.take() {
                fields.push(&text[from..at]);
            }
        } else if start.is_none() {
            start = Some(at);
        }
    }
    if depth > 0 {
        return Err("a ']' is missing in the header".into());
    }
    fields.extend(start.map(|from| &text[from..]));
    Ok(fields)
}

fn action(word: &str) -> Result<Action, HeaderRefusal> {
    Ok(match word {
        "alert" => Action::Alert,
        "drop" => Action::Drop,
        "reject" | "rejectsrc" => Action::RejectSource,
        "rejectdst" => Action::RejectDestination,
        "rejectboth" => Action::RejectBoth,
        "pass" => return Err(("pass", "rules that suppress others are not supported".into())),
        other => return Err(("action", format!("`{other}` is not supported; allowed are alert, drop and reject"))),
    })
}

fn protocol(word: &str) -> Result<(Layer4, IpVersion, Option<AppProto>), HeaderRefusal> {
    let tcp = Layer4 { tcp: true, ..Layer4::NONE };
    let udp = Layer4 { udp: true, ..Layer4::NONE };
    let any = IpVersion::Any;
    Ok(match word.to_ascii_lowercase().as_str() {
        "tcp" | "tcp-pkt" | "tcp-stream" => (tcp, any, None),
        "udp" => (udp, any, None),
        "icmp" => (Layer4 { icmp4: true, icmp6: true, ..Layer4::NONE }, any, None),
        "icmpv4" => (Layer4 { icmp4: true, ..Layer4::NONE }, any, None),
        "icmpv6" => (Layer4 { icmp6: true, ..Layer4::NONE }, any, None),
        "ip" => (Layer4::ALL, any, None),
        "ip4" | "ipv4" => (Layer4::ALL, IpVersion::V4, None),
        "ip6" | "ipv6" => (Layer4::ALL, IpVersion::V6, None),
        "http" | "http1" => (tcp, any, Some(AppProto::Http)),
        "dns" => (Layer4 { udp: true, ..tcp }, any, Some(AppProto::Dns)),
        _ => {
            return Err((
                "protocol",
                format!("`{word}` is not supported; allowed are ip, tcp, udp, icmp, http and dns"),
            ))
        }
    })
}

/// Addresses and ports of a header, compiled; indices into the rule set's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndsNeeded {
    /// Source addresses.
    pub source: u32,
    /// Source ports.
    pub source_ports: u32,
    /// Destination addresses.
    pub destination: u32,
    /// Destination ports.
    pub destination_ports: u32,
}

/// The distinct address and port sets of a rule set: most rules name one of a handful.
#[derive(Debug, Default)]
pub struct EndTables {
    /// Address sets.
    pub addresses: Vec<AddressSet>,
    /// Port sets.
    pub ports: Vec<PortSet>,
    address_of: HashMap<String, u32>,
    ports_of: HashMap<String, u32>,
    /// Places of the sets, by a hash of their content.
    places: [HashMap<u64, Vec<u32>>; 2],
}

/// Where `set` stands in `sets`; it is added if it is new.
fn place<S: Hash + Eq>(places: &mut HashMap<u64, Vec<u32>>, sets: &mut Vec<S>, set: S) -> u32 {
    let mut hasher = DefaultHasher::new();
    set.hash(&mut hasher);
    let known = places.entry(hasher.finish()).or_default();
    if let Some(&at) = known.iter().find(|&&at| sets[at as usize] == set) {
        return at;
    }
    sets.push(set);
    known.push(sets.len() as u32 - 1);
    sets.len() as u32 - 1
}

impl EndTables {
    /// Compiles the ends of a header; equal texts share one set.
    ///
    /// # Errors
    /// Names the field and says what is wrong in it.
    pub fn compile(&mut self, header: &Header, variables: &Variables) -> Result<EndsNeeded, HeaderRefusal> {
        let mut address = |text: &str| -> Result<u32, HeaderRefusal> {
            if let Some(&known) = self.address_of.get(text) {
                return Ok(known);
            }
            let set = AddressSet::parse(text, variables).map_err(|reason| ("address", reason))?;
            let index = place(&mut self.places[0], &mut self.addresses, set);
            self.address_of.insert(text.to_owned(), index);
            Ok(index)
        };
        let (source, destination) = (address(&header.source)?, address(&header.destination)?);
        let mut port = |text: &str| -> Result<u32, HeaderRefusal> {
            if let Some(&known) = self.ports_of.get(text) {
                return Ok(known);
            }
            let set = PortSet::parse(text, variables).map_err(|reason| ("port", reason))?;
            let index = place(&mut self.places[1], &mut self.ports, set);
            self.ports_of.insert(text.to_owned(), index);
            Ok(index)
        };
        let (source_ports, destination_ports) = (port(&header.source_ports)?, port(&header.destination_ports)?);
        Ok(EndsNeeded { source, source_ports, destination, destination_ports })
    }
}

impl IpVersion {
    /// Whether packets with this source address are admitted.
    pub fn admits(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}
