//! A DNS message as detection sees it.
//!
//! Only queries have `dns.query` buffers: rules look at what was asked for once, on the way to the server.

use super::message::Message;
use super::types::{rcode_name, rrtype_name};
use crate::inspect::{AppProto, BufferId, Transaction, TxScratch};

/// One message.
#[derive(Debug)]
pub struct DnsTransaction {
    id: u64,
    message: Message,
    scratch: TxScratch,
}

impl DnsTransaction {
    /// The `id`-th message of its flow.
    pub fn new(id: u64, message: Message) -> Self {
        Self { id, message, scratch: TxScratch::default() }
    }
}

impl Transaction for DnsTransaction {
    fn app_proto(&self) -> AppProto {
        AppProto::Dns
    }

    fn id(&self) -> u64 {
        self.id
    }

    fn buffer_count(&self, id: BufferId) -> usize {
        match id {
            BufferId::DnsQuery if !self.message.is_response() => self.message.questions.len(),
            _ => 0,
        }
    }

    fn buffer(&self, id: BufferId, index: usize) -> Option<&[u8]> {
        match id {
            BufferId::DnsQuery if !self.message.is_response() => {
                self.message.questions.get(index).map(|q| q.name.as_slice())
            }
            _ => None,
        }
    }

    fn facts(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut facts = vec![("dns.id", self.message.id.to_string().into_bytes())];
        for question in &self.message.questions {
            facts.push(("dns.rrname", question.name.clone()));
            facts.push(("dns.rrtype", rrtype_name(question.rrtype).into_bytes()));
        }
        if self.message.is_response() {
            facts.push(("dns.rcode", rcode_name(self.message.rcode()).into_bytes()));
            for answer in &self.message.answers {
                let data = String::from_utf8_lossy(&answer.data);
                facts.push(("dns.answer", format!("{} {data}", rrtype_name(answer.rrtype)).into_bytes()));
            }
        }
        facts
    }

    fn scratch(&mut self) -> &mut TxScratch {
        &mut self.scratch
    }
}
