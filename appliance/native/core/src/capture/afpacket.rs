//! Live capture: a `TPACKET_V3` ring shared with the kernel, walked block by block without copying.
//!
//! Rules of this file: the ring's memory is touched here only. A block belongs to the kernel until its status says user, and to
//! us until we write it back; frames borrow from the block, the block from the ring, so no frame outlives its block. What the
//! kernel wrote into a block is checked against the block's bounds all the same.

use super::ahead::fetch;
use super::ring_plan::RingPlan;
use super::socket::{PacketSocket, Refusal};
use crate::error::{Error, Result};
use crate::packet::{Frame, LinkType};
use memmap2::{MmapOptions, MmapRaw};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

/// What to capture, and into how large a ring.
#[derive(Debug, Clone)]
pub struct Config {
    /// Threads that share the interface's traffic by flow.
    pub threads: u32,
    /// Ring of the interface in MiB, shared among the threads.
    pub ring_mib: u32,
    /// Milliseconds of traffic the ring shall hold.
    pub ring_ms: u32,
    /// Bytes kept of each frame.
    pub snap_len: u32,
    /// Number of the fanout group, for several processes on one interface; chosen by the kernel when absent.
    pub fanout_group: Option<u16>,
}

/// One thread's ring on one interface.
#[derive(Debug)]
pub struct Ring {
    socket: PacketSocket,
    map: MmapRaw,
    plan: RingPlan,
    next_block: u32,
    link: LinkType,
    /// On the loopback interface every frame passes twice; the outgoing copy is left out.
    skip_outgoing: bool,
    source: u32,
    drops: u64,
}

/// Opens the rings of one interface, one per thread, all receiving from the same moment on.
pub fn open(name: &str, source: u32, config: &Config) -> Result<Vec<Ring>> {
    open_rings(name, source, config).map_err(|reason| Error::Interface { name: name.to_string(), reason })
}

fn open_rings(name: &str, source: u32, config: &Config) -> std::result::Result<Vec<Ring>, Refusal> {
    let plan = RingPlan::new(config.ring_mib, config.ring_ms, config.threads)?;
    if !(64..=65_535).contains(&config.snap_len) {
        return Err(format!("snaplen {}: 64 to 65535 are allowed", config.snap_len));
    }
    let mut group = config.fanout_group;
    let mut rings = Vec::new();
    for _ in 0..config.threads {
        let ring = Ring::new(name, source, plan)?;
        // A lone thread needs no fanout, and without it sees fragments as they are.
        if config.threads > 1 || config.fanout_group.is_some() {
            group = Some(ring.socket.join_fanout(group)?);
        }
        rings.push(ring);
    }
    // Until here every ring's filter lets nothing through: a frame that came before all had joined would be seen twice.
    for ring in &rings {
        ring.socket.set_snap_len(config.snap_len)?;
    }
    Ok(rings)
}

/// Waits until one of the rings has a block or the time is up. Returns the interfaces' own errors by index, each told once.
pub fn wait(rings: &[Ring], timeout_ms: i32) -> io::Result<Vec<(usize, io::Error)>> {
    if rings.iter().any(Ring::is_ready) {
        return Ok(Vec::new());
    }
    let sockets: Vec<&PacketSocket> = rings.iter().map(|ring| &ring.socket).collect();
    PacketSocket::wait(&sockets, timeout_ms)
}

/// How the first bytes of this interface's frames are to be read.
fn link_of(hardware_type: u16) -> std::result::Result<LinkType, Refusal> {
    /// `ARPHRD_RAWIP`, some modems; not among libc's names.
    const RAWIP: u16 = 519;
    match hardware_type {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Ok(LinkType::Ethernet),
        // Tunnels without link header (tun, WireGuard).
        libc::ARPHRD_NONE | RAWIP => Ok(LinkType::Raw),
        other => Err(format!("frames of hardware type {other} are not decoded; Ethernet, loopback and raw IP are")),
    }
}

impl Ring {
    fn new(name: &str, source: u32, plan: RingPlan) -> std::result::Result<Self, Refusal> {
        let socket = PacketSocket::new(name)?;
        socket.set_snap_len(0)?;
        socket.make_ring(&plan)?;
        let map = MmapOptions::new()
            .len(plan.bytes())
            .map_raw(&socket)
            .map_err(|error| format!("mapping a ring of {} bytes: {error}", plan.bytes()))?;
        socket.bind()?;
        let hardware_type = socket.hardware_type()?;
        let link = link_of(hardware_type)?;
        socket.set_promiscuous()?;
        let skip_outgoing = hardware_type == libc::ARPHRD_LOOPBACK;
        Ok(Self { socket, map, plan, next_block: 0, link, skip_outgoing, source, drops: 0 })
    }

    /// The ring's geometry.
    pub fn plan(&self) -> RingPlan {
        self.plan
    }

    /// Frames the kernel dropped since the start because the ring was full.
    pub fn drops(&mut self) -> u64 {
        self.drops += self.socket.take_drops();
        self.drops
    }

    /// The next block the kernel has handed over, if there is one.
    pub fn try_block(&mut self) -> Option<Block<'_>> {
        self.is_ready().then(|| Block::new(self))
    }

    /// The next block, waiting for it at most `timeout_ms`; `None` when none came.
    ///
    /// # Errors
    /// The interface's own, told once each time: `ENETDOWN` when it went down. Waiting again is sound; frames come again when
    /// the interface is up again.
    pub fn next_block(&mut self, timeout_ms: i32) -> io::Result<Option<Block<'_>>> {
        if !self.is_ready() {
            let this = std::slice::from_ref(self);
            if let Some((_, error)) = wait(this, timeout_ms)?.into_iter().next() {
                return Err(error);
            }
        }
        Ok(self.try_block())
    }

    fn is_ready(&self) -> bool {
        self.status().load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    // The map begins page aligned and blocks are powers of two no smaller than a page.
    #[allow(clippy::cast_ptr_alignment)]
    fn block_start(&self) -> *mut libc::tpacket_block_desc {
        let offset = self.next_block as usize * self.plan.block_bytes as usize;
        // SAFETY: `next_block` is always less than the number of blocks, and the map is that many blocks long.
        unsafe { self.map.as_mut_ptr().add(offset).cast() }
    }

    fn status(&self) -> &AtomicU32 {
        let block = self.block_start();
        // SAFETY: blocks begin page aligned with a block descriptor; kernel and user access its status word atomically only.
        unsafe { AtomicU32::from_ptr(&raw mut (*block).hdr.bh1.block_status) }
    }
}

/// A frame's header in a block; its link address follows.
const HEADER_BYTES: usize = size_of::<libc::tpacket3_hdr>();

/// A block of frames that is ours until dropped.
#[derive(Debug)]
pub struct Block<'r> {
    ring: &'r mut Ring,
    /// Offset of the next frame's header in the block.
    at: usize,
    frames_left: u32,
}

impl<'r> Block<'r> {
    fn new(ring: &'r mut Ring) -> Self {
        let block = ring.block_start();
        // SAFETY: the status said user, read with acquire ordering: the kernel has written the descriptor and will not touch it
        // until the status is written back.
        let (at, frames_left) = unsafe { ((*block).hdr.bh1.offset_to_first_pkt as usize, (*block).hdr.bh1.num_pkts) };
        Self { ring, at, frames_left }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the block is ours, this long, and no one writes it while it is.
        unsafe { std::slice::from_raw_parts(self.ring.block_start().cast::<u8>(), self.ring.plan.block_bytes as usize) }
    }

    #[inline]
    fn header(&self) -> Option<libc::tpacket3_hdr> {
        if self.frames_left == 0 {
            return None;
        }
        let head = self.bytes().get(self.at..)?.get(..HEADER_BYTES)?;
        // SAFETY: as many bytes as the structure has, any of which are valid values; an unaligned read is asked for.
        Some(unsafe { head.as_ptr().cast::<libc::tpacket3_hdr>().read_unaligned() })
    }

    /// The time of the next frame; `None` at the end of the block.
    pub fn peek_ts_ns(&self) -> Option<u64> {
        let header = self.header()?;
        Some(u64::from(header.tp_sec) * 1_000_000_000 + u64::from(header.tp_nsec))
    }

    /// The next frame of the block; `None` at its end, and at anything that does not lie within it.
    #[inline]
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        while let Some(header) = self.header() {
            let at = self.at;
            self.at += header.tp_next_offset as usize;
            self.frames_left -= 1;
            fetch(self.bytes(), self.at);
            let Some((kind, start, end)) = self.frame_at(at, &header) else { break };
            if self.ring.skip_outgoing && kind == libc::PACKET_OUTGOING {
                continue;
            }
            let tagged = header.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
            return Some(Frame {
                ts_ns: u64::from(header.tp_sec) * 1_000_000_000 + u64::from(header.tp_nsec),
                link: self.ring.link,
                data: &self.bytes()[start..end],
                original_len: header.tp_len,
                source: self.ring.source,
                kernel_vlan: if tagged { header.hv1.tp_vlan_tci as u16 } else { 0 },
            });
        }
        self.frames_left = 0;
        None
    }

    /// The packet type (`PACKET_HOST` and so on) and where the frame's bytes are.
    #[inline]
    fn frame_at(&self, at: usize, header: &libc::tpacket3_hdr) -> Option<(u8, usize, usize)> {
        let address = self.bytes().get(at + HEADER_BYTES..)?.get(..size_of::<libc::sockaddr_ll>())?;
        // SAFETY: as many bytes as the structure has, any of which are valid values; an unaligned read is asked for.
        let address = unsafe { address.as_ptr().cast::<libc::sockaddr_ll>().read_unaligned() };
        let start = at + usize::from(header.tp_mac);
        let end = start + header.tp_snaplen as usize;
        (end <= self.bytes().len()).then_some((address.sll_pkttype, start, end))
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        self.ring.status().store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.ring.next_block = (self.ring.next_block + 1) % self.ring.plan.blocks;
    }
}
