//! `dns.query`: the name a DNS request asks for; each use of the keyword may be met by another question of the request.

use super::{Keyword, Parsed, Value};
use crate::inspect::BufferId;
use crate::rule::draft::Draft;
use crate::rule::model::Buffer;

/// This file's keywords.
pub const KEYWORDS: &[Keyword] =
    &[Keyword { name: "dns.query", parse: sticky }, Keyword { name: "dns_query", parse: sticky }];

const BUFFER: Buffer = Buffer::Of(BufferId::DnsQuery);

fn sticky(draft: &mut Draft<'_>, value: Value<'_>) -> Parsed {
    value.none()?;
    draft.open(BUFFER)
}
