//! One rule's text into a [`Rule`], or the keyword and the reason why not. Never panics, whatever the text.

use super::classtype;
use super::draft::{Draft, DraftChain, Shared};
use super::header::{EndTables, Header, Layer4};
use super::keyword::content::FastPattern;
use super::keyword::{self, Value};
use super::model::{Chain, Check, Rule, RuleInfo};
use super::text::{shorten, split_options, split_rule};
use super::vars::Variables;
use crate::inspect::{AppProto, Direction};

/// Why a rule is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The rule's sid where it could be read.
    pub sid: Option<u32>,
    /// The keyword, or the part of the rule (`header`, `protocol`, `address` ...).
    pub keyword: String,
    /// What came and what was allowed.
    pub reason: String,
}

/// Reads one rule.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn rule(text: &str, variables: &Variables, ends: &mut EndTables, shared: &mut Shared) -> Result<Rule, Reason> {
    let refuse = |sid: Option<u32>, keyword: &str, reason: String| Reason { sid, keyword: shorten(keyword), reason };
    let (head, body) = split_rule(text).map_err(|reason| refuse(None, "options", reason))?;
    let options = split_options(body).map_err(|reason| refuse(None, "options", reason))?;
    let sid = options.iter().find(|option| option.name == "sid").and_then(|option| option.value?.parse().ok());
    let header = Header::parse(head).map_err(|(keyword, reason)| refuse(sid, keyword, reason))?;
    let ends = ends.compile(&header, variables).map_err(|(keyword, reason)| refuse(sid, keyword, reason))?;
    let mut draft = Draft::new(header, shared);
    for option in options {
        let known = keyword::find(option.name)
            .ok_or_else(|| refuse(sid, option.name, "this keyword is not supported".into()))?;
        (known.parse)(&mut draft, Value(option.value)).map_err(|reason| refuse(sid, option.name, reason))?;
    }
    let sid = draft.sid.ok_or_else(|| refuse(sid, "sid", "every rule needs one".into()))?;
    finish(draft, sid, ends).map_err(|(keyword, reason)| refuse(Some(sid), keyword, reason))
}

type Wrong = (&'static str, String);

fn finish(mut draft: Draft<'_>, sid: u32, ends: super::header::EndsNeeded) -> Result<Rule, Wrong> {
    if draft.dangling_buffer() {
        return Err(("options", "the last sticky buffer has nothing to match".into()));
    }
    draft.chains.retain(|chain| !chain.checks.is_empty());
    let app = app_of(&draft)?;
    let layer4 = layer4_of(&draft, app)?;
    let mut flow = draft.flow;
    flow.direction = direction_of(&draft)?;
    let packets_only = draft.packets_only || draft.header.packets_only;
    let only_stream = flow.only_stream || draft.header.stream_only;
    if packets_only && only_stream {
        return Err((
            "flow",
            "a keyword that looks at packets cannot be used where only the stream is looked at".into(),
        ));
    }
    flow.only_stream = only_stream;
    check_fast_pattern_only(&draft.chains)?;
    let class = draft.classtype.as_deref().and_then(classtype::find);
    let info = RuleInfo {
        gid: draft.gid.unwrap_or(1),
        sid,
        rev: draft.rev.unwrap_or(0),
        action: draft.header.action,
        msg: draft.msg.unwrap_or_default(),
        classtype: draft.classtype.unwrap_or_default(),
        category: class.map_or("", |class| class.category),
        priority: draft.priority.unwrap_or(class.map_or(classtype::DEFAULT_PRIORITY, |class| class.priority)),
        references: draft.references,
        metadata: draft.metadata,
        target: draft.target,
    };
    Ok(Rule {
        info,
        layer4,
        version: draft.header.version,
        app,
        ends,
        both_ways: draft.header.both_ways,
        flow,
        packets_only,
        packet_checks: draft.packet_checks,
        flowbits: draft.flowbits,
        threshold: draft.threshold,
        noalert: draft.noalert,
        chains: draft.chains.into_iter().map(|chain| Chain::new(chain.buffer, absolute(chain.checks))).collect(),
    })
}

/// Relative contents that nothing stands before count from the beginning.
fn absolute(mut checks: Vec<Check>) -> Vec<Check> {
    for check in &mut checks {
        match check {
            Check::Content(content) if content.relative() => content.make_absolute(),
            _ => {}
        }
        if check.get().moves() {
            break;
        }
    }
    checks
}

/// The application protocol of header and buffers, which must agree.
fn app_of(draft: &Draft<'_>) -> Result<Option<AppProto>, Wrong> {
    let mut app = draft.header.app;
    for chain in &draft.chains {
        let Some(of_buffer) = chain.buffer.app() else { continue };
        if app.is_some_and(|app| app != of_buffer) {
            return Err((
                "protocol",
                format!("a buffer of {of_buffer:?} does not go with {:?}", app.unwrap_or_default()),
            ));
        }
        app = Some(of_buffer);
    }
    Ok(app)
}

fn layer4_of(draft: &Draft<'_>, app: Option<AppProto>) -> Result<Layer4, Wrong> {
    let mut layer4 = draft.header.layer4;
    match app {
        Some(AppProto::Http) => {
            layer4.udp = false;
            layer4.icmp4 = false;
            layer4.icmp6 = false;
            layer4.other = false;
        }
        Some(AppProto::Dns) => {
            layer4.icmp4 = false;
            layer4.icmp6 = false;
            layer4.other = false;
        }
        _ => {}
    }
    let none = !(layer4.tcp || layer4.udp || layer4.icmp4 || layer4.icmp6 || layer4.other);
    if none {
        return Err(("protocol", "the header's protocol does not carry the buffers the rule looks at".into()));
    }
    Ok(layer4)
}

/// The one direction the rule is about: from `flow`, or from buffers that only one side sends.
fn direction_of(draft: &Draft<'_>) -> Result<Option<Direction>, Wrong> {
    let mut direction = draft.flow.direction;
    for chain in &draft.chains {
        let Some(way) = chain.buffer.direction() else { continue };
        if direction.is_some_and(|direction| direction != way) {
            return Err(("flow", "its buffers and flow are about conflicting directions".into()));
        }
        direction = Some(way);
    }
    Ok(direction)
}

/// Relative contents right behind a `fast_pattern:only` content have nothing to count from.
fn check_fast_pattern_only(chains: &[DraftChain]) -> Result<(), Wrong> {
    for chain in chains {
        for pair in chain.checks.windows(2) {
            if let [Check::Content(before), Check::Content(after)] = pair {
                if before.fast == FastPattern::Only && after.relative() {
                    return Err(("fast_pattern", "`only` cannot stand before a relative content".into()));
                }
            }
        }
    }
    Ok(())
}
