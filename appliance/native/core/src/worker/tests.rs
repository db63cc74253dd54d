//! An inspector that writes down what it is told, and conversations to tell it of.

mod connections;
mod flows;

use super::*;
use crate::inspect::{BufferId, FlowView, Stage, StreamWindow, Transaction};
use crate::packet::{tcp_flags, TcpHeader};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

/// An inspector that writes down what it is told.
#[derive(Default)]
struct Recorder {
    log: Vec<String>,
    /// Reassembled bytes per direction, of all flows one after another.
    streams: [Vec<u8>; 2],
    by_flow: HashMap<(u64, Direction), Vec<u8>>,
    ends: [u32; 2],
    packets: u64,
    in_stream: u64,
    ids: Vec<u64>,
}

impl Inspector for Recorder {
    fn packet(&mut self, _trigger: Trigger<'_>, flow: Option<(&mut FlowView<'_>, Direction)>) {
        self.packets += 1;
        if let Some((view, direction)) = flow {
            self.in_stream += u64::from(view.payload_in_stream);
            self.ids.push(view.id);
            self.log.push(format!("packet {direction:?} established={} {:?}", view.established, view.app));
        }
    }

    fn stream(
        &mut self,
        _trigger: Trigger<'_>,
        view: &mut FlowView<'_>,
        direction: Direction,
        window: StreamWindow<'_>,
    ) {
        let new = &window.data[window.new_from..];
        self.streams[direction as usize].extend_from_slice(new);
        let stream = self.by_flow.entry((view.id, direction)).or_default();
        assert_eq!(
            &stream[stream.len() - window.new_from..],
            &window.data[..window.new_from],
            "earlier bytes are those inspected before"
        );
        stream.extend_from_slice(new);
        self.ends[direction as usize] += u32::from(window.last);
        self.log.push(format!(
            "stream {direction:?} {:?} +{}{}",
            view.app,
            new.len(),
            if window.last { " last" } else { "" }
        ));
    }

    fn transaction(&mut self, _trigger: Trigger<'_>, view: &mut FlowView<'_>, stage: Stage, tx: &mut dyn Transaction) {
        let buffer =
            [BufferId::HttpUri, BufferId::HttpResponseBody, BufferId::DnsQuery].iter().find_map(|&b| tx.buffer(b, 0));
        let text = String::from_utf8_lossy(buffer.unwrap_or_default());
        self.log.push(format!("tx {} {:?} {stage:?} {text}", tx.id(), view.app));
    }
}

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const MS: u64 = 1_000_000;

fn worker(change: impl FnOnce(&mut WorkerConfig)) -> Worker<Recorder> {
    let mut config = WorkerConfig::default();
    change(&mut config);
    Worker::new(config, Recorder::default())
}

#[derive(Clone)]
struct Segment {
    to_server: bool,
    port: u16,
    seq: u32,
    ack: u32,
    flags: u8,
    data: Vec<u8>,
    ts_ns: u64,
}

impl Segment {
    fn send(&self, worker: &mut Worker<Recorder>) {
        let (sport, dport) = if self.to_server { (self.port, 80) } else { (80, self.port) };
        let (src, dst) = if self.to_server { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let header = TcpHeader {
            sport,
            dport,
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: 65_535,
            urgent: 0,
            window_scale: None,
            timestamps: None,
        };
        let packet = Packet {
            ts_ns: self.ts_ns,
            source: 0,
            vlan: [0, 0],
            ip: &[],
            src,
            dst,
            proto: ip_proto::TCP,
            l4: L4::Tcp(header),
            payload: &self.data,
        };
        worker.packet(&packet);
    }
}

/// Builds a conversation; numbers are chosen so that the server's wrap.
struct Script {
    port: u16,
    next: [u32; 2],
    now_ns: u64,
    segments: Vec<Segment>,
}

impl Script {
    fn new(port: u16) -> Self {
        Self { port, next: [1000, 0xffff_fffa], now_ns: 0, segments: Vec::new() }
    }

    fn raw(&mut self, to_server: bool, flags: u8, data: &[u8]) {
        let (us, them) = if to_server { (0, 1) } else { (1, 0) };
        self.now_ns += MS;
        let ack = if flags & tcp_flags::ACK != 0 { self.next[them] } else { 0 };
        let segment = Segment {
            to_server,
            port: self.port,
            seq: self.next[us],
            ack,
            flags,
            data: data.to_vec(),
            ts_ns: self.now_ns,
        };
        let length = data.len() as u32 + u32::from(flags & (tcp_flags::SYN | tcp_flags::FIN) != 0);
        self.next[us] = self.next[us].wrapping_add(length);
        self.segments.push(segment);
    }

    fn open(mut self) -> Self {
        self.raw(true, tcp_flags::SYN, b"");
        self.raw(false, tcp_flags::SYN | tcp_flags::ACK, b"");
        self.raw(true, tcp_flags::ACK, b"");
        self
    }

    fn data(mut self, to_server: bool, data: &[u8]) -> Self {
        self.raw(to_server, tcp_flags::ACK, data);
        self
    }

    fn close(mut self) -> Self {
        self.raw(true, tcp_flags::ACK | tcp_flags::FIN, b"");
        self.raw(false, tcp_flags::ACK | tcp_flags::FIN, b"");
        self.raw(true, tcp_flags::ACK, b"");
        self
    }

    fn send(&self, worker: &mut Worker<Recorder>) {
        self.segments.iter().for_each(|s| s.send(worker));
    }
}

const REQUEST: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";

fn udp(worker: &mut Worker<Recorder>, to_server: bool, ports: (u16, u16), payload: &[u8], ts_ns: u64) {
    let (src, dst) = if to_server { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
    let (sport, dport) = if to_server { ports } else { (ports.1, ports.0) };
    let l4 = L4::Udp { sport, dport };
    worker.packet(&Packet { ts_ns, source: 0, vlan: [0, 0], ip: &[], src, dst, proto: ip_proto::UDP, l4, payload });
}
