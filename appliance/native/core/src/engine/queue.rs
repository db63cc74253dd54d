//! The bounded queue between engine threads and the one who takes the alerts.
//!
//! Rules of this file: bounded in number and in bytes, because one alert may carry a 64 KiB datagram. Whether a full queue makes
//! the producer wait or drop is the producer's choice. Once every producer is gone and nothing is left, the queue is closed.

use super::pipeline::Weigh;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Alerts that may wait. At 10,000 alerts/s the consumer may be away for 0.8 s.
const MAX_ALERTS: usize = 8_192;
/// Bytes that may wait.
const MAX_BYTES: usize = 32 << 20;

#[derive(Debug)]
struct Inner<T> {
    items: VecDeque<T>,
    bytes: usize,
    producers: usize,
    abandoned: bool,
}

/// The queue.
#[derive(Debug)]
pub struct Queue<T> {
    inner: Mutex<Inner<T>>,
    /// Something came, or the last producer left.
    filled: Condvar,
    /// Room was made, or the consumer left.
    drained: Condvar,
}

/// What the consumer got.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<T> {
    /// At least one item.
    Some(Vec<T>),
    /// Nothing came in time.
    Nothing,
    /// Nothing will come any more.
    Closed,
}

impl<T: Weigh> Queue<T> {
    /// An empty queue that `producers` producers will leave one by one.
    pub fn new(producers: usize) -> Self {
        let inner = Inner { items: VecDeque::new(), bytes: 0, producers, abandoned: false };
        Self { inner: Mutex::new(inner), filled: Condvar::new(), drained: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // No code panics while it holds the lock except by running out of memory; what it protects is whole at every step.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends all items, waiting for room. Items are dropped only when the consumer is gone for good.
    pub fn push_waiting(&self, items: impl IntoIterator<Item = T>) {
        let mut inner = self.lock();
        for item in items {
            while inner.is_full() && !inner.abandoned {
                self.filled.notify_one();
                inner = self.drained.wait(inner).unwrap_or_else(PoisonError::into_inner);
            }
            if inner.abandoned {
                return;
            }
            inner.push(item);
        }
        self.filled.notify_one();
    }

    /// Appends what there is room for. Returns how many items were dropped.
    pub fn push_or_drop(&self, items: impl IntoIterator<Item = T>) -> u64 {
        let mut inner = self.lock();
        let mut dropped = 0;
        for item in items {
            if inner.is_full() || inner.abandoned {
                dropped += 1;
            } else {
                inner.push(item);
            }
        }
        self.filled.notify_one();
        dropped
    }

    /// Takes up to `max` items, waiting for the first until `deadline`.
    pub fn take(&self, max: usize, deadline: Instant) -> Taken<T> {
        let mut inner = self.lock();
        loop {
            if !inner.items.is_empty() {
                let count = max.min(inner.items.len());
                let taken: Vec<T> = inner.items.drain(..count).collect();
                inner.bytes -= taken.iter().map(Weigh::weight_bytes).sum::<usize>();
                self.drained.notify_all();
                return Taken::Some(taken);
            }
            if inner.producers == 0 {
                return Taken::Closed;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return Taken::Nothing;
            };
            inner = self.filled.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A producer leaves.
    pub fn leave(&self) {
        self.lock().producers -= 1;
        self.filled.notify_all();
    }

    /// The consumer leaves: producers no longer wait.
    pub fn abandon(&self) {
        self.lock().abandoned = true;
        self.drained.notify_all();
    }
}

impl<T: Weigh> Inner<T> {
    fn is_full(&self) -> bool {
        self.items.len() >= MAX_ALERTS || self.bytes >= MAX_BYTES
    }

    fn push(&mut self, item: T) {
        self.bytes += item.weight_bytes();
        self.items.push_back(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    impl Weigh for usize {
        fn weight_bytes(&self) -> usize {
            *self
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn a_waiting_producer_loses_nothing_and_keeps_the_order() {
        let queue = Arc::new(Queue::new(1));
        let producer = Arc::clone(&queue);
        let thread = std::thread::spawn(move || {
            producer.push_waiting(0..50_000_usize);
            producer.leave();
        });
        let mut taken = Vec::new();
        while let Taken::Some(items) = queue.take(777, soon()) {
            assert!(items.len() <= 777);
            taken.extend(items);
        }
        thread.join().unwrap();
        assert!(taken.into_iter().eq(0..50_000));
        assert_eq!(queue.take(1, soon()), Taken::Closed);
    }

    #[test]
    fn a_dropping_producer_never_waits_and_counts() {
        let queue = Queue::new(1);
        assert_eq!(queue.push_or_drop(vec![1_usize; MAX_ALERTS + 5]), 5);
        assert_eq!(queue.push_or_drop([1_usize]), 1);
        queue.take(2, soon());
        assert_eq!(queue.push_or_drop([1_usize; 3]), 1);
    }

    #[test]
    fn few_heavy_items_fill_the_queue_too() {
        let queue = Queue::new(1);
        assert_eq!(queue.push_or_drop([MAX_BYTES / 2, MAX_BYTES / 2, 1]), 1);
        assert_eq!(queue.take(1, soon()), Taken::Some(vec![MAX_BYTES / 2]));
        assert_eq!(queue.push_or_drop([1_usize]), 0);
    }

    #[test]
    fn a_producer_whose_consumer_is_gone_is_let_go() {
        let queue = Arc::new(Queue::new(1));
        let producer = Arc::clone(&queue);
        let thread = std::thread::spawn(move || producer.push_waiting(vec![1_usize; 2 * MAX_ALERTS]));
        while !matches!(queue.take(1, soon()), Taken::Some(_)) {}
        queue.abandon();
        thread.join().unwrap();
    }

    #[test]
    fn nothing_in_time_is_not_the_end() {
        let queue: Queue<usize> = Queue::new(2);
        assert_eq!(queue.take(1, Instant::now()), Taken::Nothing);
        queue.leave();
        assert_eq!(queue.take(1, Instant::now()), Taken::Nothing);
        queue.leave();
        assert_eq!(queue.take(1, soon()), Taken::Closed);
    }
}
