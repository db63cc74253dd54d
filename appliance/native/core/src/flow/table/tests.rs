//! Tests of the flow table: who is the client, timeouts, bounded memory.

use super::*;
use crate::packet::L4;
use std::net::{IpAddr, Ipv4Addr};

const SECOND: u64 = 1_000_000_000;

fn packet(client: u32, proto: u8, ts_ns: u64) -> Packet<'static> {
    Packet {
        ts_ns,
        source: 0,
        vlan: [0, 0],
        ip: &[],
        src: IpAddr::V4(Ipv4Addr::from(client)),
        dst: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        proto,
        l4: L4::Other,
        payload: &[],
    }
}

fn add(table: &mut FlowTable<u32>, p: &Packet<'_>) -> Slot {
    let (key, forward) = FlowKey::of(p);
    let hash = table.hash(&key);
    table.insert(hash, key, p, false, forward, 0)
}

fn small(flows: usize) -> FlowTable<u32> {
    let one = FlowTable::<u32>::new(1 << 20, 0, 1);
    let each = (1 << 20) / one.capacity();
    FlowTable::new(each * flows + each / 2, 0, 1)
}

#[test]
fn flows_are_found_until_removed() {
    let mut table = small(1000);
    let slots: Vec<_> = (0..500).map(|i| add(&mut table, &packet(i, 6, 0))).collect();
    for (i, slot) in slots.iter().enumerate() {
        let (key, _) = FlowKey::of(&packet(i as u32, 6, 0));
        assert_eq!(table.find(table.hash(&key), &key), Some(*slot));
    }
    table.remove(slots[7]);
    let (key, _) = FlowKey::of(&packet(7, 6, 0));
    assert_eq!(table.find(table.hash(&key), &key), None);
    assert_eq!(table.len(), 499);
}

#[test]
fn silence_ends_flows_by_their_class_in_order() {
    let mut table = small(100);
    let tcp = add(&mut table, &packet(1, 6, 0));
    let udp = add(&mut table, &packet(2, 17, 0));
    table.touch(udp, SECOND, State::Established);
    assert_eq!(table.next_expired(60 * SECOND), None);
    assert_eq!(table.next_expired(60 * SECOND + 1), Some(tcp));
    table.remove(tcp);
    assert_eq!(table.next_expired(301 * SECOND), None);
    assert_eq!(table.next_expired(301 * SECOND + 1), Some(udp));
}

#[test]
fn a_full_table_gives_up_closed_then_new_then_established_flows() {
    let mut table = small(3);
    assert_eq!(table.capacity(), 3);
    let established = add(&mut table, &packet(1, 6, 0));
    table.touch(established, 0, State::Established);
    let new = add(&mut table, &packet(2, 6, 1));
    let closed = add(&mut table, &packet(3, 6, 2));
    table.touch(closed, 2, State::Closed);
    assert!(table.is_full());
    for expected in [closed, new, established] {
        let slot = table.eviction_candidate().unwrap();
        assert_eq!(slot, expected);
        table.remove(slot);
    }
    assert!(table.is_empty());
}

#[test]
fn the_longest_unused_of_one_state_goes_first_whatever_its_protocol() {
    let mut table = small(10);
    let udp = add(&mut table, &packet(1, 17, 0));
    let tcp = add(&mut table, &packet(2, 6, 1));
    table.touch(udp, 5, State::New);
    assert_eq!(table.eviction_candidate(), Some(tcp));
}

#[test]
fn random_use_keeps_index_and_lists_whole() {
    let mut table = small(64);
    let mut x = 0x1234_5678_9abc_def1_u64;
    let mut living = Vec::new();
    for now in 0..20_000_u64 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        match x % 4 {
            0 if !table.is_full() => {
                let proto = if x & 64 == 0 { 6 } else { 17 };
                living.push(add(&mut table, &packet(now as u32, proto, now)));
            }
            1 if !living.is_empty() => {
                let slot = living.swap_remove((x >> 8) as usize % living.len());
                table.remove(slot);
            }
            _ if !living.is_empty() => {
                let state = EVICTION_ORDER[(x >> 20) as usize % 3];
                table.touch(living[(x >> 8) as usize % living.len()], now, state);
            }
            _ => {}
        }
        assert_eq!(table.len(), living.len());
    }
    let mut count = 0;
    while let Some(slot) = table.first() {
        table.remove(slot);
        count += 1;
    }
    assert_eq!(count, living.len());
}
