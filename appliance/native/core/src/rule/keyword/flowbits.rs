//! `flowbits`: marks on a flow that one rule sets and another tests: `set`, `unset`, `toggle`, `isset`, `isnotset`, `noalert`;
//! tests take several names with `|` between them, one of which suffices.

use super::{Keyword, Parsed, Value};
use crate::rule::draft::Draft;
use std::collections::HashMap;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] = &[Keyword { name: "flowbits", parse }];

/// Names of the flow bits of a rule set; a bit is the index of its name.
#[derive(Debug, Default)]
pub struct Names(HashMap<Box<str>, u32>);

impl Names {
    fn index(&mut self, name: &str) -> u32 {
        if let Some(&known) = self.0.get(name) {
            return known;
        }
        let next = self.0.len() as u32;
        self.0.insert(name.into(), next);
        next
    }

    /// For each bit, the bit of the same name in `other`.
    pub fn translate(&self, other: &Self) -> Vec<Option<u32>> {
        let mut table = vec![None; self.0.len()];
        for (name, &bit) in &self.0 {
            table[bit as usize] = other.0.get(name).copied();
        }
        table
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One use of the keyword.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowBit {
    /// Set after the rule has matched.
    Set(u32),
    /// Unset after the rule has matched.
    Unset(u32),
    /// Turned over after the rule has matched.
    Toggle(u32),
    /// One of these must be set.
    IsSet(Box<[u32]>),
    /// One of these must not be set.
    IsNotSet(Box<[u32]>),
}

impl FlowBit {
    /// The condition half: whether the flow's bits (ascending) allow the rule.
    pub fn holds(&self, bits: &[u32]) -> bool {
        let is_set = |bit: &u32| bits.binary_search(bit).is_ok();
        match self {
            Self::IsSet(names) => names.iter().any(is_set),
            Self::IsNotSet(names) => names.iter().any(|bit| !is_set(bit)),
            Self::Set(_) | Self::Unset(_) | Self::Toggle(_) => true,
        }
    }

    /// The action half: what the match of the rule does to the flow's bits.
    pub fn apply(&self, bits: &mut Vec<u32>) {
        match (self, bits.binary_search(&self.changed().unwrap_or(u32::MAX))) {
            (Self::Set(bit) | Self::Toggle(bit), Err(at)) => bits.insert(at, *bit),
            (Self::Unset(_) | Self::Toggle(_), Ok(at)) => {
                bits.remove(at);
            }
            _ => {}
        }
    }

    /// The bit the rule's match changes.
    pub fn changed(&self) -> Option<u32> {
        match self {
            Self::Set(bit) | Self::Unset(bit) | Self::Toggle(bit) => Some(*bit),
            Self::IsSet(_) | Self::IsNotSet(_) => None,
        }
    }

    /// The bits the rule tests.
    pub fn tested(&self) -> &[u32] {
        match self {
            Self::IsSet(bits) | Self::IsNotSet(bits) => bits,
            _ => &[],
        }
    }
}

fn parse(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    let text = value.text()?;
    let (action, names) = match text.split_once(',') {
        Some((action, names)) => (action.trim(), Some(names.trim())),
        None => (text, None),
    };
    if action == "noalert" {
        if names.is_some() {
            return Err("`noalert` takes no name".into());
        }
        draft.noalert = true;
        return Ok(());
    }
    let names = names.filter(|names| !names.is_empty()).ok_or_else(|| format!("`{action}` needs the name of a bit"))?;
    let mut bits = Vec::new();
    for name in names.split('|') {
        let name = name.trim();
        if name.is_empty() || name.contains([',', ' ', '\t']) {
            return Err(format!("`{name}` is no name of a flow bit"));
        }
        bits.push(draft.shared.bits.index(name));
    }
    let several = bits.len() > 1;
    let bit = match action {
        "isset" => FlowBit::IsSet(bits.into()),
        "isnotset" => FlowBit::IsNotSet(bits.into()),
        "set" | "unset" | "toggle" if several => {
            return Err(format!("`{action}` takes one name; only tests take several"));
        }
        "set" => FlowBit::Set(bits[0]),
        "unset" => FlowBit::Unset(bits[0]),
        "toggle" => FlowBit::Toggle(bits[0]),
        other => {
            return Err(format!("`{other}` is not supported; allowed are set, unset, toggle, isset, isnotset, noalert"))
        }
    };
    draft.flowbits.push(bit);
    Ok(())
}
