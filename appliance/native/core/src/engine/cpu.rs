//! The calling thread's processor: time used, and its turn among other threads.

/// Nanoseconds of processor time this thread has used, user and system.
pub fn thread_cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec that lives through the call.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, std::ptr::from_mut(&mut time)) };
    if done != 0 {
        return 0;
    }
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// How far capture threads go before others: half the way that `nice` can go.
const CAPTURE_NICE: libc::c_int = -10;

/// Asks that this thread runs before others: a frame that finds the ring full is lost, other work can wait. Without the right
/// to (`CAP_SYS_NICE`, `LimitNICE=`) nothing changes. A thread whose user made it more urgent than that stays so.
pub fn run_before_others() {
    // SAFETY: takes and gives numbers; 0 is the calling thread.
    unsafe {
        if libc::getpriority(libc::PRIO_PROCESS, 0) > CAPTURE_NICE {
            libc::setpriority(libc::PRIO_PROCESS, 0, CAPTURE_NICE);
        }
    }
}
