//! Address sets of rule headers: IPv4 and IPv6 addresses, networks, ranges, lists, negation, variables.

use super::ports::{MAX_ENTRIES, MAX_NESTING};
use super::vars::Variables;
use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr};

/// Addresses as sorted ranges (bounds included) that neither touch nor overlap, one table per family.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AddressSet {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl AddressSet {
    /// Every address of both families.
    pub fn any() -> Self {
        Self { v4: vec![(0, u32::MAX)], v6: vec![(0, u128::MAX)] }
    }

    /// Whether every address is in it.
    pub fn is_any(&self) -> bool {
        self.v4 == [(0, u32::MAX)] && self.v6 == [(0, u128::MAX)]
    }

    /// Whether `address` is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => within(&self.v4, u32::from(address)),
            IpAddr::V6(address) => within(&self.v6, u128::from(address)),
        }
    }

    /// The IPv4 ranges.
    pub fn v4(&self) -> &[(u32, u32)] {
        &self.v4
    }

    /// The IPv6 ranges.
    pub fn v6(&self) -> &[(u128, u128)] {
        &self.v6
    }

    /// Reads a header's address field.
    ///
    /// Lists follow Suricata: what is named without `!` is united, then everything negated is taken away, however deep it
    /// stands; only negated entries start from all addresses.
    ///
    /// # Errors
    /// Says which part is no address, which variable is unknown, or that nothing is left.
    pub fn parse(text: &str, variables: &Variables) -> Result<Self, String> {
        let mut sets = Sets::default();
        sets.collect(text.trim(), false, variables, 0)?;
        let any = Self::any();
        let (positive4, positive6) = if sets.positive4.is_empty() && sets.positive6.is_empty() {
            (any.v4, any.v6)
        } else {
            (sets.positive4, sets.positive6)
        };
        let set = Self {
            v4: subtract(merge(positive4), &merge(sets.negative4)),
            v6: subtract(merge(positive6), &merge(sets.negative6)),
        };
        if set.v4.is_empty() && set.v6.is_empty() {
            return Err(format!("`{}` leaves no address", super::text::shorten(text)));
        }
        Ok(set)
    }
}

/// The integer types of the two families, so that the range arithmetic is written once.
trait Number: Copy + Ord {
    fn up(self) -> Option<Self>;
    fn down(self) -> Option<Self>;
}

impl Number for u32 {
    fn up(self) -> Option<Self> {
        self.checked_add(1)
    }
    fn down(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

impl Number for u128 {
    fn up(self) -> Option<Self> {
        self.checked_add(1)
    }
    fn down(self) -> Option<Self> {
        self.checked_sub(1)
    }
}

fn within<N: Number>(ranges: &[(N, N)], value: N) -> bool {
    let found = ranges.binary_search_by(|&(low, high)| {
        if high < value {
            Ordering::Less
        } else if low > value {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    });
    found.is_ok()
}

fn merge<N: Number>(mut ranges: Vec<(N, N)>) -> Vec<(N, N)> {
    ranges.sort_unstable();
    let mut merged: Vec<(N, N)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match merged.last_mut() {
            Some(last) if low <= last.1 || last.1.up() == Some(low) => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    merged
}

/// Both lists merged and sorted; one pass.
fn subtract<N: Number>(ranges: Vec<(N, N)>, cuts: &[(N, N)]) -> Vec<(N, N)> {
    if cuts.is_empty() {
        return ranges;
    }
    let mut left = Vec::with_capacity(ranges.len());
    let mut first = 0;
    for (mut low, high) in ranges {
        while first < cuts.len() && cuts[first].1 < low {
            first += 1;
        }
        let mut at = first;
        let mut open = true;
        while at < cuts.len() && cuts[at].0 <= high {
            let (from, to) = cuts[at];
            if let Some(end) = from.down().filter(|end| low <= *end) {
                left.push((low, end));
            }
            match to.up() {
                Some(next) if next <= high => low = next,
                _ => {
                    open = false;
                    break;
                }
            }
            at += 1;
        }
        if open {
            left.push((low, high));
        }
    }
    left
}

#[derive(Default)]
struct Sets {
    positive4: Vec<(u32, u32)>,
    positive6: Vec<(u128, u128)>,
    negative4: Vec<(u32, u32)>,
    negative6: Vec<(u128, u128)>,
}

impl Sets {
    fn collect(&mut self, text: &str, negated: bool, variables: &Variables, depth: usize) -> Result<(), String> {
        if depth > MAX_NESTING {
            return Err("lists or variables are nested too deeply".into());
        }
        // A list may lack its brackets at the outermost level (`!5800,!445`).
        if text.contains(',') {
            let items = split_list(text)?;
            if items.len() > 1 {
                return items.into_iter().try_for_each(|item| self.collect(item, negated, variables, depth + 1));
            }
        }
        if let Some(rest) = text.strip_prefix('!') {
            return self.collect(rest.trim(), !negated, variables, depth + 1);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or_else(|| format!("`{text}` lacks its ']'"))?;
            for item in split_list(inner)? {
                self.collect(item, negated, variables, depth + 1)?;
            }
            return Ok(());
        }
        if let Some(name) = text.strip_prefix('$') {
            let value = variables.get(name)?;
            return self.collect(value, negated, variables, depth + 1);
        }
        if text == "any" {
            if negated {
                return Err("`!any` leaves no address".into());
            }
            self.positive4.push((0, u32::MAX));
            self.positive6.push((0, u128::MAX));
            return Ok(());
        }
        if self.positive4.len() + self.positive6.len() + self.negative4.len() + self.negative6.len() >= MAX_ENTRIES {
            return Err(format!("lists and variables together have more than {MAX_ENTRIES} entries"));
        }
        match single(text)? {
            Range::V4(range) => if negated { &mut self.negative4 } else { &mut self.positive4 }.push(range),
            Range::V6(range) => if negated { &mut self.negative6 } else { &mut self.positive6 }.push(range),
        }
        Ok(())
    }
}

enum Range {
    V4((u32, u32)),
    V6((u128, u128)),
}

/// One address, network (`/prefix` or `/mask`) or range (`low-high`).
fn single(text: &str) -> Result<Range, String> {
    let address =
        |part: &str| part.trim().parse::<IpAddr>().map_err(|_| format!("`{text}` is no address, network or range"));
    if let Some((base, mask)) = text.split_once('/') {
        return match address(base)? {
            IpAddr::V4(base) => {
                let mask = mask4(mask).ok_or_else(|| format!("`{text}` has no valid prefix length or mask"))?;
                let low = u32::from(base) & mask;
                Ok(Range::V4((low, low | !mask)))
            }
            IpAddr::V6(base) => {
                let prefix = mask.trim().parse::<u32>().ok().filter(|prefix| *prefix <= 128);
                let prefix =
                    prefix.ok_or_else(|| format!("`{text}` has no valid prefix length; allowed are 0 to 128"))?;
                let mask = if prefix == 0 { 0 } else { u128::MAX << (128 - prefix) };
                let low = u128::from(base) & mask;
                Ok(Range::V6((low, low | !mask)))
            }
        };
    }
    if let Some((low, high)) = text.split_once('-') {
        let ordered = match (address(low)?, address(high)?) {
            (IpAddr::V4(low), IpAddr::V4(high)) if low <= high => Range::V4((low.into(), high.into())),
            (IpAddr::V6(low), IpAddr::V6(high)) if low <= high => Range::V6((low.into(), high.into())),
            _ => return Err(format!("`{text}` is no range: its ends are of two families or in the wrong order")),
        };
        return Ok(ordered);
    }
    Ok(match address(text)? {
        IpAddr::V4(address) => Range::V4((address.into(), address.into())),
        IpAddr::V6(address) => Range::V6((address.into(), address.into())),
    })
}

fn mask4(text: &str) -> Option<u32> {
    if text.contains('.') {
        let mask = u32::from(text.trim().parse::<Ipv4Addr>().ok()?);
        return (mask.leading_ones() + mask.trailing_zeros() >= 32).then_some(mask);
    }
    let prefix = text.trim().parse::<u32>().ok().filter(|prefix| *prefix <= 32)?;
    Some(if prefix == 0 { 0 } else { u32::MAX << (32 - prefix) })
}

/// Cuts the inside of a list at the commas of its own level.
///
/// # Errors
/// Brackets do not pair, or an entry is empty.
pub(super) fn split_list(inner: &str) -> Result<Vec<&str>, String> {
    let mut items = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.checked_sub(1).ok_or("a ']' too many in a list")?,
            b',' if depth == 0 => {
                items.push(inner[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err("a ']' is missing in a list".into());
    }
    items.push(inner[start..].trim());
    if items.iter().any(|item| item.is_empty()) {
        return Err("an entry of a list is empty".into());
    }
    Ok(items)
}

/// The two families as one key for tables: IPv4 addresses become IPv4-mapped IPv6 addresses.
pub fn key(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// First key of the IPv4-mapped block.
pub fn mapped(address: u32) -> u128 {
    u128::from(Ipv4Addr::from(address).to_ipv6_mapped())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_lists_match_what_suricata_makes_of_them() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("any", &["0.0.0.0", "255.255.255.255", "::", "2001:db8::1"], &[]),
            ("10.0.0.1", &["10.0.0.1"], &["10.0.0.2", "::1"]),
            ("!10.0.0.1", &["10.0.0.2", "::1"], &["10.0.0.1"]),
            ("10.0.0.0/8", &["10.0.0.0", "10.255.255.255"], &["9.255.255.255", "11.0.0.0"]),
            ("10.0.0.0/255.0.0.0", &["10.1.2.3"], &["11.0.0.0"]),
            ("10.0.0.5-10.0.0.7", &["10.0.0.5", "10.0.0.7"], &["10.0.0.4", "10.0.0.8"]),
            ("[10.0.0.0/8, !10.1.0.0/16]", &["10.0.0.1", "10.2.0.0"], &["10.1.0.0", "10.1.255.255"]),
            ("[10.0.0.0/8,[192.168.0.0/16,!10.9.9.9]]", &["10.9.9.8", "192.168.1.1"], &["10.9.9.9"]),
            ("![10.0.0.1,10.0.0.3]", &["10.0.0.2"], &["10.0.0.1", "10.0.0.3"]),
            ("2001:db8::/32", &["2001:db8::", "2001:db8:ffff::"], &["2001:db9::", "10.0.0.1"]),
            ("[!2001:db8::1]", &["2001:db8::2", "10.0.0.1"], &["2001:db8::1"]),
            ("$HOME_NET", &["192.168.1.1", "172.16.0.1", "10.0.0.1"], &["8.8.8.8"]),
            ("$EXTERNAL_NET", &["8.8.8.8", "2001:db8::1"], &["192.168.1.1"]),
            ("!$EXTERNAL_NET", &["192.168.1.1"], &["8.8.8.8"]),
            ("$DNS_SERVERS", &["10.0.0.1"], &["9.9.9.9"]),
            ("0.0.0.0/0", &["1.2.3.4"], &["::1"]),
            ("[0.0.0.0/0,!0.0.0.0,!255.255.255.255]", &["0.0.0.1"], &["0.0.0.0", "255.255.255.255"]),
        ];
        let variables = Variables::default();
        for (text, inside, outside) in cases {
            let set = AddressSet::parse(text, &variables).unwrap();
            for address in *inside {
                assert!(set.contains(address.parse().unwrap()), "{text} must have {address}");
            }
            for address in *outside {
                assert!(!set.contains(address.parse().unwrap()), "{text} must not have {address}");
            }
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let variables = Variables::default();
        let deep = format!("{}10.0.0.1{}", "[".repeat(99), "]".repeat(99));
        for text in [
            "",
            "10.0.0",
            "10.0.0.0/33",
            "10.0.0.0/255.0.255.0",
            "[10.0.0.1",
            "10.0.0.1]",
            "10.0.0.9-10.0.0.1",
            "::1-10.0.0.1",
            "$NOBODY",
            "!any",
            "[10.0.0.1,!10.0.0.1]",
            "[10.0.0.1,]",
            "::/129",
            deep.as_str(),
        ] {
            assert!(AddressSet::parse(text, &variables).is_err(), "{text}");
        }
    }
}
