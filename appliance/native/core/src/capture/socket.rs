//! The packet socket behind a ring: `AF_PACKET` options, one safe function each (packet(7), the kernel's
//! `Documentation/networking/packet_mmap.rst`).
//!
//! Rules of this file: system calls only, no frames. Every failure says which step failed and, for the two common causes (no
//! such interface, not allowed), what to do.

use super::ring_plan::RingPlan;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Why an interface cannot be captured from.
pub type Refusal = String;

/// A packet socket.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    index: i32,
}

fn failed(step: &str) -> Refusal {
    format!("{step}: {}", io::Error::last_os_error())
}

impl PacketSocket {
    /// A socket that receives nothing yet.
    pub fn new(name: &str) -> Result<Self, Refusal> {
        let unknown = || "no such interface; `ip -brief link` lists those there are".to_string();
        let c_name = CString::new(name).map_err(|_| unknown())?;
        // SAFETY: `c_name` is a C string that outlives the call.
        let index = unsafe { libc::if_nametoindex(c_name.as_ptr()) };
        let index = i32::try_from(index).ok().filter(|index| *index > 0).ok_or_else(unknown)?;
        // Protocol 0: nothing is received before `bind`.
        // SAFETY: no pointers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            let error = io::Error::last_os_error();
            return Err(match error.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => {
                    "not allowed to capture; run as root or give the process CAP_NET_RAW".to_string()
                }
                _ => format!("packet socket: {error}"),
            });
        }
        // SAFETY: `fd` was just opened and belongs to nobody else.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) }, index })
    }

    fn set<T>(&self, level: i32, option: i32, value: &T, step: &str) -> Result<(), Refusal> {
        // SAFETY: `value` is a plain C structure of exactly the length given, read during the call only.
        let done = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                level,
                option,
                std::ptr::from_ref(value).cast(),
                size_of::<T>() as libc::socklen_t,
            )
        };
        if done == 0 {
            Ok(())
        } else {
            Err(failed(step))
        }
    }

    fn get<T: Copy>(&self, level: i32, option: i32, mut value: T, step: &str) -> Result<T, Refusal> {
        let mut len = size_of::<T>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `len` bytes into `value`, a plain C structure for which any bytes are valid.
        let done = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                level,
                option,
                std::ptr::from_mut(&mut value).cast(),
                std::ptr::from_mut(&mut len),
            )
        };
        if done == 0 {
            Ok(value)
        } else {
            Err(failed(step))
        }
    }

    /// Keeps at most `snap_len` bytes of each frame; 0 receives none at all.
    pub fn set_snap_len(&self, snap_len: u32) -> Result<(), Refusal> {
        let mut ret = libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: snap_len };
        let program = libc::sock_fprog { len: 1, filter: std::ptr::from_mut(&mut ret) };
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program, "setting the snap length")
    }

    /// Makes the ring; the caller maps it.
    pub fn make_ring(&self, plan: &RingPlan) -> Result<(), Refusal> {
        let version = libc::tpacket_versions::TPACKET_V3 as i32;
        self.set(libc::SOL_PACKET, libc::PACKET_VERSION, &version, "TPACKET_V3")?;
        // With version 3 frames are packed; the frame size only has to divide the block.
        let frame_bytes = 2_048;
        let request = libc::tpacket_req3 {
            tp_block_size: plan.block_bytes,
            tp_block_nr: plan.blocks,
            tp_frame_size: frame_bytes,
            tp_frame_nr: plan.block_bytes / frame_bytes * plan.blocks,
            tp_retire_blk_tov: plan.block_timeout_ms,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        let step = format!("a ring of {} bytes (try a smaller ring_mib)", plan.bytes());
        self.set(libc::SOL_PACKET, libc::PACKET_RX_RING, &request, &step)
    }

    /// Ties the socket to its interface, for all protocols.
    pub fn bind(&self) -> Result<(), Refusal> {
        // SAFETY: all zeroes is a valid value of this plain C structure.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = self.index;
        // SAFETY: `address` is a sockaddr_ll of exactly the length given.
        let done = unsafe {
            libc::bind(
                self.fd.as_raw_fd(),
                std::ptr::from_ref(&address).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if done == 0 {
            Ok(())
        } else {
            Err(failed("binding to the interface"))
        }
    }

    /// The interface's `ARPHRD_*` number. The socket must be bound.
    pub fn hardware_type(&self) -> Result<u16, Refusal> {
        // SAFETY: all zeroes is a valid value of this plain C structure.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        let mut len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `len` bytes into `address`.
        let done = unsafe {
            libc::getsockname(
                self.fd.as_raw_fd(),
                std::ptr::from_mut(&mut address).cast(),
                std::ptr::from_mut(&mut len),
            )
        };
        if done == 0 {
            Ok(address.sll_hatype)
        } else {
            Err(failed("reading the interface's type"))
        }
    }

    /// Receives what is addressed to others as well.
    pub fn set_promiscuous(&self) -> Result<(), Refusal> {
        let request = libc::packet_mreq {
            mr_ifindex: self.index,
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        self.set(libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request, "promiscuous mode")
    }

    /// Joins a fanout group by flow hash, IPv4 fragments put together first so that they reach their flow's thread. Without a
    /// number the kernel chooses one nobody has. Returns the number.
    pub fn join_fanout(&self, group: Option<u16>) -> Result<u16, Refusal> {
        let mut flags = libc::PACKET_FANOUT_HASH | libc::PACKET_FANOUT_FLAG_DEFRAG;
        if group.is_none() {
            flags |= libc::PACKET_FANOUT_FLAG_UNIQUEID;
        }
        let request = flags << 16 | u32::from(group.unwrap_or(0));
        self.set(libc::SOL_PACKET, libc::PACKET_FANOUT, &request, "joining the fanout group")?;
        let joined: u32 = self.get(libc::SOL_PACKET, libc::PACKET_FANOUT, 0, "reading the fanout group")?;
        Ok(joined as u16)
    }

    /// Frames dropped since the last call, because the ring was full.
    pub fn take_drops(&self) -> u64 {
        let zero = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
        self.get(libc::SOL_PACKET, libc::PACKET_STATISTICS, zero, "").map_or(0, |stats| u64::from(stats.tp_drops))
    }

    /// Waits until one of the sockets has something to read or the time is up. Returns the interfaces' own errors (went down,
    /// say) by index.
    pub fn wait(sockets: &[&Self], timeout_ms: i32) -> io::Result<Vec<(usize, io::Error)>> {
        let mut polls: Vec<_> = sockets
            .iter()
            .map(|socket| libc::pollfd { fd: socket.fd.as_raw_fd(), events: libc::POLLIN, revents: 0 })
            .collect();
        // SAFETY: as many pollfds as the count says.
        let ready = unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, timeout_ms) };
        if ready < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(Vec::new()) } else { Err(error) };
        }
        let mut errors = Vec::new();
        for (index, socket) in sockets.iter().enumerate() {
            if polls[index].revents & libc::POLLERR != 0 {
                let code: i32 = socket.get(libc::SOL_SOCKET, libc::SO_ERROR, 0, "").unwrap_or(0);
                if code != 0 {
                    errors.push((index, io::Error::from_raw_os_error(code)));
                }
            }
        }
        Ok(errors)
    }
}

impl AsRawFd for PacketSocket {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }
}
