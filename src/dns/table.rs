//! The table of names: every name we answer for, with its records already in wire form.
//!
//! Built once from a stream of records, then never changed: readers share it by `Arc` and a change
//! of the cluster builds a new one (docs/compat/dns.md, "How answers are made"). Invariants: names
//! are canonical (lower case, one spelling of each zone); the records of a name stand together,
//! addresses sorted and each only once; a service record points at its target by index, so that
//! the address that belongs beside it costs no second look-up.
//!
//! Which names exist is decided in `core::naming`; what a question gets is decided in `answer`.

use std::net::IpAddr;

use super::wire;
use crate::core::naming::Sink;

/// Bytes of an encoded A record whose owner is a pointer to the question.
pub(super) const A_BYTES: usize = 16;
/// The same of an AAAA record.
pub(super) const AAAA_BYTES: usize = 28;

/// Index of a name; `NameId::VOID` stands for a name that cannot be carried by DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NameId(u32);

impl NameId {
    const VOID: Self = Self(u32::MAX);

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// A service record: priority 0 and weight 1 are the same for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Service {
    pub port: u16,
    pub target: NameId,
}

/// A run of records in one of the table's arrays.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    start: u32,
    len: u32,
}

impl Run {
    fn of<T>(self, all: &[T]) -> &[T] {
        &all[self.start as usize..(self.start + self.len) as usize]
    }
}

/// One name. Its text is a slice of the table's arena.
#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: u64,
    at: u32,
    len: u8,
    a: Run,
    aaaa: Run,
    services: Run,
}

/// All names and records at one revision of the state.
#[derive(Debug, Default)]
pub struct Table {
    arena: Vec<u8>,
    entries: Vec<Entry>,
    slots: Slots,
    a: Vec<[u8; A_BYTES]>,
    aaaa: Vec<[u8; AAAA_BYTES]>,
    services: Vec<Service>,
    pub(super) ttl_secs: u32,
    pub(super) serial: u32,
    n_skipped: usize,
}

impl Table {
    /// Number of names.
    pub fn n_names(&self) -> usize {
        self.entries.len()
    }

    /// Number of records.
    pub fn n_records(&self) -> usize {
        // Of records that came twice one is left, and an unused place.
        let of = |e: &Entry| (e.a.len + e.aaaa.len + e.services.len) as usize;
        self.entries.iter().map(of).sum()
    }

    /// Number of names that were left out because DNS cannot carry them (more than 255 bytes).
    pub fn n_skipped(&self) -> usize {
        self.n_skipped
    }

    /// Bytes held, without the allocator's overhead.
    pub fn n_bytes(&self) -> usize {
        self.arena.capacity()
            + self.entries.capacity() * size_of::<Entry>()
            + self.slots.0.capacity() * size_of::<u64>()
            + self.a.capacity() * A_BYTES
            + self.aaaa.capacity() * AAAA_BYTES
            + self.services.capacity() * size_of::<Service>()
    }

    /// Finds a lower-cased wire name.
    pub(super) fn find(&self, wire: &[u8]) -> Option<NameId> {
        self.slots.find(hash(wire), wire, &self.entries, &self.arena).ok()
    }

    /// The name in wire form.
    pub(super) fn wire(&self, name: NameId) -> &[u8] {
        let entry = &self.entries[name.index()];
        entry.wire(&self.arena)
    }

    pub(super) fn a(&self, name: NameId) -> &[[u8; A_BYTES]] {
        self.entries[name.index()].a.of(&self.a)
    }

    pub(super) fn aaaa(&self, name: NameId) -> &[[u8; AAAA_BYTES]] {
        self.entries[name.index()].aaaa.of(&self.aaaa)
    }

    pub(super) fn services(&self, name: NameId) -> &[Service] {
        self.entries[name.index()].services.of(&self.services)
    }

    /// Whether the name owns any record; one that is only pointed at does not exist for a client.
    pub(super) fn owns_records(&self, name: NameId) -> bool {
        let entry = &self.entries[name.index()];
        entry.a.len + entry.aaaa.len + entry.services.len > 0
    }
}

impl Entry {
    fn wire<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        &arena[self.at as usize..self.at as usize + usize::from(self.len)]
    }
}

/// Collects records and makes a `Table` of them.
#[derive(Debug, Default)]
pub struct Builder {
    table: Table,
    addresses: Vec<(NameId, IpAddr)>,
    services: Vec<(NameId, Service)>,
}

impl Builder {
    /// An empty table to be. `ttl_secs` is the life of every record, `serial` the zones' serial
    /// number, `n_names` a guess that saves growing.
    pub fn new(ttl_secs: u32, serial: u32, n_names: usize) -> Self {
        let mut table = Table { ttl_secs, serial, ..Table::default() };
        table.arena.reserve(n_names * 48);
        table.entries.reserve(n_names);
        table.slots = Slots::with_room(n_names);
        Self { table, addresses: Vec::new(), services: Vec::new() }
    }

    /// Sorts the records to their names.
    pub fn build(self) -> Table {
        let Self { mut table, addresses, services } = self;
        let ttl = table.ttl_secs.to_be_bytes();
        let mut v4 = Vec::with_capacity(addresses.len());
        let mut v6 = Vec::new();
        for (name, ip) in addresses {
            match ip {
                IpAddr::V4(ip) => v4.push((name, a_record(ttl, ip.octets()))),
                IpAddr::V6(ip) => v6.push((name, aaaa_record(ttl, ip.octets()))),
            }
        }
        table.a = group(v4, &mut table.entries, |e| &mut e.a);
        table.aaaa = group(v6, &mut table.entries, |e| &mut e.aaaa);
        table.services = group(services, &mut table.entries, |e| &mut e.services);
        table
    }
}

impl Sink for Builder {
    type Name = NameId;

    fn name(&mut self, text: &str) -> NameId {
        let table = &mut self.table;
        let at = table.arena.len();
        if !wire::push_name(text, &mut table.arena) {
            table.n_skipped += 1;
            return NameId::VOID;
        }
        let (old, new) = table.arena.split_at(at);
        let hash = hash(new);
        match table.slots.find(hash, new, &table.entries, old) {
            Ok(known) => {
                table.arena.truncate(at);
                known
            }
            Err(slot) => {
                let id = NameId(index_u32(table.entries.len()));
                let len = u8::try_from(new.len()).expect("push_name keeps names below 256 bytes");
                let none = Run::default();
                let at = index_u32(at);
                table.entries.push(Entry { hash, at, len, a: none, aaaa: none, services: none });
                table.slots.insert(slot, id, &table.entries);
                id
            }
        }
    }

    fn address(&mut self, owner: NameId, ip: IpAddr) {
        if owner != NameId::VOID {
            self.addresses.push((owner, ip));
        }
    }

    fn service(&mut self, owner: NameId, port: u16, target: NameId) {
        if owner != NameId::VOID && target != NameId::VOID {
            self.services.push((owner, Service { port, target }));
        }
    }
}

/// An A record with its owner as a pointer to the question's name.
fn a_record(ttl: [u8; 4], ip: [u8; 4]) -> [u8; A_BYTES] {
    let mut record = [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    record[6..10].copy_from_slice(&ttl);
    record[12..].copy_from_slice(&ip);
    record
}

fn aaaa_record(ttl: [u8; 4], ip: [u8; 16]) -> [u8; AAAA_BYTES] {
    let mut record = [0; AAAA_BYTES];
    record[..12].copy_from_slice(&[0xC0, 12, 0, 28, 0, 1, 0, 0, 0, 0, 0, 16]);
    record[6..10].copy_from_slice(&ttl);
    record[12..].copy_from_slice(&ip);
    record
}

/// Counting sort by owner, then each owner's records sorted and made unique. A general sort of all
/// pairs cost four times as much at 10,000 tasks.
fn group<T: Copy + Ord>(
    pairs: Vec<(NameId, T)>,
    entries: &mut [Entry],
    run: impl Fn(&mut Entry) -> &mut Run,
) -> Vec<T> {
    let Some(&(_, first)) = pairs.first() else { return Vec::new() };
    for (owner, _) in &pairs {
        run(&mut entries[owner.index()]).len += 1;
    }
    let mut start = 0;
    for entry in entries.iter_mut() {
        let run = run(entry);
        run.start = start;
        start += run.len;
        run.len = 0;
    }
    let mut sorted = vec![first; pairs.len()];
    for (owner, value) in pairs {
        let run = run(&mut entries[owner.index()]);
        sorted[(run.start + run.len) as usize] = value;
        run.len += 1;
    }
    for entry in entries.iter_mut() {
        let run = run(entry);
        if run.len < 2 {
            continue;
        }
        let records = &mut sorted[run.start as usize..(run.start + run.len) as usize];
        records.sort_unstable();
        let mut n = 1;
        for i in 1..records.len() {
            if records[i] != records[n - 1] {
                records[n] = records[i];
                n += 1;
            }
        }
        run.len = index_u32(n);
    }
    sorted
}

/// Open addressing over entry indexes: half full at most, so a probe ends after two or three slots.
/// A map with owned keys would take an allocation a name.
/// A slot holds the upper half of the hash beside the index, so that passing over a stranger does
/// not touch its entry.
#[derive(Debug, Default)]
struct Slots(Vec<u64>);

impl Slots {
    const FREE: u64 = u64::MAX;

    fn filled(hash: u64, id: NameId) -> u64 {
        (hash & !0xFFFF_FFFF) | u64::from(id.0)
    }

    fn with_room(n: usize) -> Self {
        Self(vec![Self::FREE; (n.max(8) * 2).next_power_of_two()])
    }

    /// The entry of this name, or the free slot where it belongs.
    fn find(
        &self,
        hash: u64,
        wire: &[u8],
        entries: &[Entry],
        arena: &[u8],
    ) -> Result<NameId, usize> {
        if self.0.is_empty() {
            return Err(0);
        }
        let mask = self.0.len() - 1;
        let mut slot = spread(hash) & mask;
        loop {
            let filled = self.0[slot];
            if filled == Self::FREE {
                return Err(slot);
            }
            let id = NameId(u32::try_from(filled & 0xFFFF_FFFF).expect("masked"));
            if filled == Self::filled(hash, id) && entries[id.index()].wire(arena) == wire {
                return Ok(id);
            }
            slot = (slot + 1) & mask;
        }
    }

    fn insert(&mut self, slot: usize, id: NameId, entries: &[Entry]) {
        if entries.len() * 2 <= self.0.len() {
            self.0[slot] = Self::filled(entries[id.index()].hash, id);
            return;
        }
        *self = Self::with_room(entries.len() * 2);
        let mask = self.0.len() - 1;
        for (i, entry) in entries.iter().enumerate() {
            let mut slot = spread(entry.hash) & mask;
            while self.0[slot] != Self::FREE {
                slot = (slot + 1) & mask;
            }
            self.0[slot] = Self::filled(entry.hash, NameId(index_u32(i)));
        }
    }
}

/// Where to begin: the lower half of the hash, as a slot keeps the upper one.
#[allow(clippy::cast_possible_truncation)] // masked by the caller
fn spread(hash: u64) -> usize {
    hash as usize
}

/// Folded multiplication over eight bytes at a time. Names are made by authorised users, and a
/// look-up never inserts, so resistance against crafted collisions is not needed.
fn hash(wire: &[u8]) -> u64 {
    const K: u64 = 0x9E37_79B9_7F4A_7C15; // 2^64 / golden ratio
    let fold = |x: u64| {
        let wide = u128::from(x) * u128::from(K);
        #[allow(clippy::cast_possible_truncation)] // the two halves
        let (low, high) = (wide as u64, (wide >> 64) as u64);
        low ^ high
    };
    let mut state = K ^ wire.len() as u64;
    let mut chunks = wire.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
        state = fold(state ^ word);
    }
    let mut last = [0; 8];
    last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    fold(fold(state ^ u64::from_le_bytes(last)))
}

fn index_u32(n: usize) -> u32 {
    u32::try_from(n).expect("a table of four billion bytes or records cannot be reached")
}
