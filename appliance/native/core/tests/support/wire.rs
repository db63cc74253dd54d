//! A wire of our own: a veth pair in a network namespace that goes away with the thread that made it.
#![allow(dead_code, clippy::cast_possible_wrap)] // lengths and indices of the C interfaces are small

use std::io;
use std::process::Command;

/// Runs `test` on a thread in a fresh network namespace with the pair `va`-`vb` up. Returns why not, when the machine cannot.
pub fn on_a_wire(test: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let thread = std::thread::spawn(move || {
        // SAFETY: no pointers; only this thread changes namespace.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            return Err(format!("no network namespace: {}", io::Error::last_os_error()));
        }
        // Neighbour discovery would put frames of its own on the wire.
        let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        let commands =
            ["ip link add va type veth peer name vb", "ip link set lo up", "ip link set va up", "ip link set vb up"];
        for line in commands {
            let mut words = line.split(' ');
            let status = Command::new(words.next().unwrap()).args(words).status();
            if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
                return Err(format!("`{line}`: {status:?}"));
            }
        }
        test();
        Ok(())
    });
    match thread.join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Sends raw frames out of an interface.
pub struct Sender {
    fd: i32,
    address: libc::sockaddr_ll,
}

impl Sender {
    pub fn new(name: &str) -> Self {
        let name = std::ffi::CString::new(name).unwrap();
        // SAFETY: plain system calls; the name outlives them and all zeroes is a valid address.
        unsafe {
            let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
            assert!(fd >= 0, "{}", io::Error::last_os_error());
            let mut address: libc::sockaddr_ll = std::mem::zeroed();
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_ifindex = libc::if_nametoindex(name.as_ptr()) as i32;
            Self { fd, address }
        }
    }

    pub fn send(&self, frame: &[u8]) {
        // SAFETY: both pointers are valid for the lengths given, for the length of the call.
        let sent = unsafe {
            libc::sendto(
                self.fd,
                frame.as_ptr().cast(),
                frame.len(),
                0,
                std::ptr::from_ref(&self.address).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        assert_eq!(sent, frame.len() as isize, "{}", io::Error::last_os_error());
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours.
        unsafe { libc::close(self.fd) };
    }
}
