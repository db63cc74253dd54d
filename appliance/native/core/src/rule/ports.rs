//! Port sets of rule headers: ranges, lists, negation, variables already known by name.

use super::vars::Variables;

/// Ports as sorted ranges that neither touch nor overlap.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PortSet {
    ranges: Vec<(u16, u16)>,
}

impl PortSet {
    /// Every port, 0 included.
    pub fn any() -> Self {
        Self { ranges: vec![(0, u16::MAX)] }
    }

    /// Whether every port is in it.
    pub fn is_any(&self) -> bool {
        self.ranges == [(0, u16::MAX)]
    }

    /// Whether `port` is in it.
    pub fn contains(&self, port: u16) -> bool {
        match self.ranges.as_slice() {
            [(low, high)] => *low <= port && port <= *high,
            ranges => ranges
                .binary_search_by(|&(low, high)| {
                    if high < port {
                        std::cmp::Ordering::Less
                    } else if low > port {
                        std::cmp::Ordering::Greater
                    } else {
                        std::cmp::Ordering::Equal
                    }
                })
                .is_ok(),
        }
    }

    /// How many ports are in it.
    pub fn count(&self) -> usize {
        self.ranges.iter().map(|&(low, high)| usize::from(high - low) + 1).sum()
    }

    /// Every port of the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.ranges.iter().flat_map(|&(low, high)| low..=high)
    }

    /// Reads a header's port field.
    ///
    /// Lists follow Suricata: what is named without `!` is united, then everything negated is taken away; only negated
    /// entries start from all ports.
    ///
    /// # Errors
    /// Says which part is no port, which variable is unknown, or that nothing is left.
    pub fn parse(text: &str, variables: &Variables) -> Result<Self, String> {
        let mut sets = Sets::default();
        sets.collect(text.trim(), false, variables, 0)?;
        let mut ranges = if sets.positive.is_empty() { vec![(0, u16::MAX)] } else { merged(sets.positive) };
        for cut in merged(sets.negative) {
            ranges = without(&ranges, cut);
        }
        if ranges.is_empty() {
            return Err(format!("`{text}` leaves no port"));
        }
        Ok(Self { ranges })
    }
}

/// Deepest nesting of lists and variables; deeper text is refused so that a hostile rule cannot exhaust the stack.
pub(super) const MAX_NESTING: usize = 16;
/// Most entries of a list with everything nested in it: variables that name others several times multiply.
pub(super) const MAX_ENTRIES: usize = 1 << 20;

#[derive(Default)]
struct Sets {
    positive: Vec<(u16, u16)>,
    negative: Vec<(u16, u16)>,
}

impl Sets {
    fn collect(&mut self, text: &str, negated: bool, variables: &Variables, depth: usize) -> Result<(), String> {
        if depth > MAX_NESTING {
            return Err("lists or variables are nested too deeply".into());
        }
        // A list may lack its brackets at the outermost level (`!5800,!445`).
        if text.contains(',') {
            let items = super::address::split_list(text)?;
            if items.len() > 1 {
                return items.into_iter().try_for_each(|item| self.collect(item, negated, variables, depth + 1));
            }
        }
        if let Some(rest) = text.strip_prefix('!') {
            return self.collect(rest.trim(), !negated, variables, depth + 1);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or_else(|| format!("`{text}` lacks its ']'"))?;
            for item in super::address::split_list(inner)? {
                self.collect(item, negated, variables, depth + 1)?;
            }
            return Ok(());
        }
        if let Some(name) = text.strip_prefix('$') {
            let value = variables.get(name)?;
            return self.collect(value, negated, variables, depth + 1);
        }
        if self.positive.len() + self.negative.len() >= MAX_ENTRIES {
            return Err(format!("lists and variables together have more than {MAX_ENTRIES} entries"));
        }
        let range = single(text)?;
        if negated && range == (0, u16::MAX) {
            return Err("`!any` leaves no port".into());
        }
        if negated { &mut self.negative } else { &mut self.positive }.push(range);
        Ok(())
    }
}

fn single(text: &str) -> Result<(u16, u16), String> {
    let port =
        |text: &str| text.trim().parse::<u16>().map_err(|_| format!("`{text}` is no port; allowed are 0 to 65535"));
    if text == "any" {
        return Ok((0, u16::MAX));
    }
    let (low, high) = match text.split_once(':') {
        Some(("", "")) => return Err("`:` is no port range".into()),
        Some(("", high)) => (0, port(high)?),
        Some((low, "")) => (port(low)?, u16::MAX),
        Some((low, high)) => (port(low)?, port(high)?),
        None => (port(text)?, port(text)?),
    };
    if low > high {
        return Err(format!("port range `{text}` ends before it begins"));
    }
    Ok((low, high))
}

fn merged(mut ranges: Vec<(u16, u16)>) -> Vec<(u16, u16)> {
    ranges.sort_unstable();
    let mut merged: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match merged.last_mut() {
            Some(last) if u32::from(low) <= u32::from(last.1) + 1 => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    merged
}

fn without(ranges: &[(u16, u16)], (from, to): (u16, u16)) -> Vec<(u16, u16)> {
    let mut left = Vec::new();
    for &(low, high) in ranges {
        if high < from || low > to {
            left.push((low, high));
            continue;
        }
        if low < from {
            left.push((low, from - 1));
        }
        if high > to {
            left.push((to + 1, high));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_lists_match_what_suricata_makes_of_them() {
        let cases: &[(&str, &[u16], &[u16])] = &[
            ("any", &[0, 1, 65535], &[]),
            ("80", &[80], &[79, 81]),
            ("!80", &[79, 81], &[80]),
            ("[80,81,!82]", &[80, 81], &[82, 83]),
            ("[1:1024,!23]", &[1, 22, 24, 1024], &[0, 23, 1025]),
            ("1024:", &[1024, 65535], &[1023]),
            (":10", &[0, 10], &[11]),
            ("![20,21]", &[22], &[20, 21]),
            ("$HTTP_PORTS", &[80], &[81]),
            ("!$HTTP_PORTS", &[81], &[80]),
            ("$FILE_DATA_PORTS", &[80, 110, 143], &[25]),
            ("!5800,!445", &[80], &[445, 5800]),
            ("[ 5060, 5061 ]", &[5060, 5061], &[5062]),
        ];
        let variables = Variables::default();
        for (text, inside, outside) in cases {
            let set = PortSet::parse(text, &variables).unwrap();
            assert!(inside.iter().all(|&port| set.contains(port)), "{text}");
            assert!(!outside.iter().any(|&port| set.contains(port)), "{text}");
        }
        for text in ["", "x", "70000", "9:1", "!any", "[80", "$NOBODY", "[80,!80]", ":"] {
            assert!(PortSet::parse(text, &variables).is_err(), "{text}");
        }
    }
}
