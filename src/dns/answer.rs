//! From a query's bytes to an answer's bytes. Pure: a table in, a message out, no clock, no I/O.
//!
//! An answer repeats the question as it was asked, and every record owner in it is a pointer to
//! that question; so the case a client chose (its defence against forged answers) comes back
//! untouched, and an address record is a copy of 16 ready bytes. Order of records is turned by the
//! message id, which spreads clients over backends without a counter; services that do not all fit
//! keep theirs.
//!
//! Invariants: never more bytes than the client takes; whole records only; TC exactly when records
//! of the answer section are missing; no input makes it panic (`fuzz_answer`).
//! The oddities of the old servers are listed in docs/compat/dns.md, "Answers"; which names exist
//! is `core::naming`'s business, and sending is `serve`'s.

use smallvec::SmallVec;

use super::{
    table::{A_BYTES, AAAA_BYTES, NameId, Service, Table},
    wire::{self, HEADER_BYTES, LowerName, Malformed, Query, Rcode},
    zone::{self, Manner, Place},
};

/// Largest datagram we send, whatever the client takes: fits every path without fragments (the
/// value DNS operators agreed on in 2020).
pub const UDP_BYTES_MAX: usize = 1232;
/// Largest datagram for a client that says nothing (RFC 1035 §4.2.1).
pub const UDP_BYTES_PLAIN: usize = 512;
/// Largest message over TCP.
pub const TCP_BYTES_MAX: usize = 65_535;
/// Bytes of an EDNS record without options.
const OPT_BYTES: usize = 11;
/// Life of a name-server record in the nodes' zones, as the original had it.
const NS_TTL_SECS: u32 = 3600;

/// How the query came, which bounds the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    Udp,
    Tcp,
}

/// What to do with a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Send what was written, and count it under this code.
    Reply(Rcode),
    /// Somebody else knows.
    Elsewhere(Whose),
    /// Say nothing.
    Drop,
}

/// Who knows a name that the table cannot tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The name is in none of our zones: an upstream.
    World,
    /// The name is in one of our zones, but no table was published here: a master.
    Masters,
}

/// Answers `message` from `table` into `out`, which is cleared first.
pub fn answer(table: &Table, message: &[u8], transport: Transport, out: &mut Vec<u8>) -> Verdict {
    let query = match wire::parse(message) {
        Ok(query) => query,
        Err(Malformed::Unanswerable) => return Verdict::Drop,
        Err(Malformed::Reply(rcode)) => {
            bare_reply(message, rcode, out);
            return Verdict::Reply(rcode);
        }
    };
    if query.edns.is_some_and(|edns| edns.version != 0) {
        return Reply::start(table, &query, transport, out).end(Rcode::BadVers);
    }
    let name = LowerName::fold(query.name());
    let name = name.as_wire();
    // Most questions are for a name of the table under its own spelling.
    let direct = table.find(name).filter(|id| table.owns_records(*id));
    let place = match direct {
        Some(_) if name.ends_with(zone::MESOS) => {
            Place { manner: Manner::MesosDns, apex_len: zone::MESOS.len(), canonical: None }
        }
        Some(_) | None => match zone::place(name) {
            Some(place) => place,
            None => return Verdict::Elsewhere(Whose::World),
        },
    };
    if table.n_names() == 0 {
        return Verdict::Elsewhere(Whose::Masters);
    }
    let mut reply = Reply::start(table, &query, transport, out);
    if !matches!(query.qclass, wire::CLASS_IN | wire::CLASS_ANY)
        || matches!(query.qtype, wire::TYPE_AXFR | wire::TYPE_IXFR)
        || (query.qtype == wire::TYPE_RRSIG && place.manner == Manner::Node)
    {
        return reply.end(Rcode::Refused);
    }
    let found = direct.or_else(|| find_respelled(table, name, place));
    reply.place(place);
    match place.manner {
        Manner::MesosDns => reply.like_mesos_dns(found),
        Manner::Node => reply.like_node(found),
        Manner::Unmade => reply.end(Rcode::NoError),
    }
}

/// An answer without records: for a query we cannot or will not serve (`Refused`, `ServFail`).
/// False when the message deserves no reply.
pub fn refuse(message: &[u8], rcode: Rcode, out: &mut Vec<u8>) -> bool {
    match wire::parse(message) {
        Ok(query) => {
            Reply::start(&Table::default(), &query, Transport::Udp, out).end(rcode);
            true
        }
        Err(Malformed::Unanswerable) => false,
        Err(Malformed::Reply(rcode)) => {
            bare_reply(message, rcode, out);
            true
        }
    }
}

/// Looks under the canonical spelling of an alias, and without stars.
fn find_respelled(table: &Table, name: &[u8], place: Place) -> Option<NameId> {
    let respelled = match place.canonical {
        Some(canonical) => Some(zone::respell(name, place.apex_len, canonical)?),
        None => None,
    };
    let canonical = respelled.as_ref().map_or(name, LowerName::as_wire);
    let exact = || respelled.as_ref().and_then(|n| table.find(n.as_wire()));
    let starless = || {
        (place.manner == Manner::MesosDns)
            .then(|| zone::without_stars(canonical))
            .flatten()
            .and_then(|n| table.find(n.as_wire()))
    };
    exact().or_else(starless).filter(|id| table.owns_records(*id))
}

/// A header without a question: the rest of the message could not be read.
fn bare_reply(message: &[u8], rcode: Rcode, out: &mut Vec<u8>) {
    out.clear();
    let keep = wire::OPCODE_MASK | wire::FLAG_RECURSION_DESIRED;
    let flags = wire::FLAG_RESPONSE | (wire::u16_at(message, 2) & keep) | rcode.low();
    out.extend_from_slice(&message[..2]);
    out.extend_from_slice(&flags.to_be_bytes());
    out.resize(HEADER_BYTES, 0);
}

/// An answer in the making.
struct Reply<'a> {
    table: &'a Table,
    query: &'a Query<'a>,
    out: &'a mut Vec<u8>,
    /// Bytes the records may reach; the EDNS record's are set aside.
    limit: usize,
    flags: u16,
    /// Length of the zone's suffix in the name asked, for the owner of its SOA record.
    place: Option<Place>,
    n_answers: u16,
    n_authority: u16,
    n_additional: u16,
    /// Service targets written so far and where, so that their addresses can point there.
    targets: SmallVec<[(NameId, u16); 16]>,
}

impl<'a> Reply<'a> {
    /// Writes the header's room and the question.
    fn start(
        table: &'a Table,
        query: &'a Query<'a>,
        transport: Transport,
        out: &'a mut Vec<u8>,
    ) -> Self {
        let limit = match (transport, query.edns) {
            (Transport::Tcp, _) => TCP_BYTES_MAX,
            (Transport::Udp, None) => UDP_BYTES_PLAIN,
            (Transport::Udp, Some(edns)) => {
                usize::from(edns.payload_bytes).clamp(UDP_BYTES_PLAIN, UDP_BYTES_MAX)
            }
        };
        let limit = limit - if query.edns.is_some() { OPT_BYTES } else { 0 };
        let kept = wire::OPCODE_MASK | wire::FLAG_RECURSION_DESIRED | wire::FLAG_CHECKING_DISABLED;
        let flags = wire::FLAG_RESPONSE | (query.flags & kept);
        out.clear();
        out.resize(HEADER_BYTES, 0);
        out.extend_from_slice(query.question);
        let targets = SmallVec::new();
        Self {
            table,
            query,
            out,
            limit,
            flags,
            place: None,
            n_answers: 0,
            n_authority: 0,
            n_additional: 0,
            targets,
        }
    }

    fn place(&mut self, place: Place) {
        self.place = Some(place);
        self.flags |= wire::FLAG_AUTHORITATIVE;
        if place.manner == Manner::MesosDns {
            self.flags |= wire::FLAG_RECURSION_AVAILABLE;
        }
    }

    fn like_mesos_dns(mut self, found: Option<NameId>) -> Verdict {
        match self.query.qtype {
            wire::TYPE_SOA => self.soa(Section::Authority, 0),
            wire::TYPE_NS => self.name_server(Section::Authority, 0, self.table.ttl_secs),
            wire::TYPE_ANY if found.is_some() => {
                self.records(found);
                self.soa(Section::Authority, 0);
                self.name_server(Section::Authority, 0, self.table.ttl_secs);
            }
            // A service nobody offers is an empty success, so that no cache holds it against us.
            wire::TYPE_SRV => self.records(found),
            _ => {
                self.records(found);
                if self.n_answers == 0 && !self.is_truncated() {
                    self.soa(Section::Authority, 0);
                }
                if found.is_none() {
                    return self.end(Rcode::NxDomain);
                }
            }
        }
        self.end(Rcode::NoError)
    }

    fn like_node(mut self, found: Option<NameId>) -> Verdict {
        let apex_len = self.place.map_or(0, |p| p.apex_len);
        let above = self.query.name().len() - apex_len;
        if above == 0 {
            // The apex always exists: it owns SOA and NS.
            match self.query.qtype {
                wire::TYPE_SOA => self.soa(Section::Answer, 0),
                wire::TYPE_NS => self.name_server(Section::Answer, 0, NS_TTL_SECS),
                wire::TYPE_ANY => {
                    self.soa(Section::Answer, 0);
                    self.name_server(Section::Answer, 0, NS_TTL_SECS);
                    self.records(found);
                }
                _ => self.records(found),
            }
        } else {
            self.records(found);
        }
        if self.n_answers == 0 && !self.is_truncated() {
            self.soa(Section::Authority, above);
            if found.is_none() && above > 0 {
                return self.end(Rcode::NxDomain);
            }
        }
        self.end(Rcode::NoError)
    }

    /// The records of the type asked.
    fn records(&mut self, found: Option<NameId>) {
        let Some(name) = found else { return };
        let is_any = self.query.qtype == wire::TYPE_ANY;
        if is_any || self.query.qtype == wire::TYPE_A {
            self.ready_records(self.table.a(name));
        }
        if is_any || self.query.qtype == wire::TYPE_AAAA {
            self.ready_records(self.table.aaaa(name));
        }
        if is_any || self.query.qtype == wire::TYPE_SRV {
            self.services(name);
        }
    }

    /// Copies encoded records, beginning at the one the message id picks.
    fn ready_records<const N: usize>(&mut self, records: &[[u8; N]]) {
        if records.is_empty() {
            return;
        }
        let first = usize::from(self.query.id) % records.len();
        let n = records.len().min(self.limit.saturating_sub(self.out.len()) / N);
        let n_until_wrap = n.min(records.len() - first);
        self.out.extend_from_slice(records[first..first + n_until_wrap].as_flattened());
        self.out.extend_from_slice(records[..n - n_until_wrap].as_flattened());
        self.n_answers += u16::try_from(n).expect("64 kB hold fewer than 64 k records");
        if n < records.len() {
            self.flags |= wire::FLAG_TRUNCATED;
        }
    }

    fn services(&mut self, name: NameId) {
        let services = self.table.services(name);
        if services.is_empty() {
            return;
        }
        let first = self.first_service(services);
        let ttl = self.table.ttl_secs.to_be_bytes();
        for service in services[first..].iter().chain(&services[..first]) {
            let (target, tail) = self.target_name(service.target);
            let n_data = 6 + target.len() + tail.len();
            if self.out.len() + 12 + n_data > self.limit {
                self.flags |= wire::FLAG_TRUNCATED;
                return;
            }
            let n_data = u16::try_from(n_data).expect("a name and six bytes");
            let [port_high, port_low] = service.port.to_be_bytes();
            self.record_head([0xC0, 12], wire::TYPE_SRV, ttl, n_data);
            // Priority 0, weight 1, as Mesos-DNS had it.
            self.out.extend_from_slice(&[0, 0, 0, 1, port_high, port_low]);
            let at = self.out.len();
            self.out.extend_from_slice(target);
            self.out.extend_from_slice(tail);
            self.n_answers += 1;
            if let Ok(at) = u16::try_from(at) {
                self.targets.push((service.target, at));
            }
        }
    }

    /// Where the services begin: at the one the message id picks when all of them fit, always at the
    /// same one otherwise. Load balancers take an SRV answer for the whole truth and drop every
    /// server that is missing from it (seen with HAProxy 2.6), so a cut answer must stay the same from
    /// question to question.
    fn first_service(&self, services: &[Service]) -> usize {
        let bytes = |s: &Service| {
            let (target, tail) = self.target_name(s.target);
            12 + 6 + target.len() + tail.len()
        };
        let all: usize = services.iter().map(bytes).sum();
        if self.out.len() + all > self.limit {
            0
        } else {
            usize::from(self.query.id) % services.len()
        }
    }

    /// A target's name; under an alias its suffix becomes the one that was asked.
    fn target_name(&self, target: NameId) -> (&'a [u8], &'a [u8]) {
        let wire = self.table.wire(target);
        let Some(Place { canonical: Some(canonical), apex_len, .. }) = self.place else {
            return (wire, &[]);
        };
        let asked = self.query.name();
        match wire.strip_suffix(canonical) {
            Some(prefix) if prefix.len() + apex_len <= wire::NAME_BYTES_MAX => {
                (prefix, &asked[asked.len() - apex_len..])
            }
            _ => (wire, &[]),
        }
    }

    /// The first address of each target, as far as there is room; missing ones are no truncation
    /// (RFC 2181 §9).
    fn target_addresses(&mut self) {
        let mut targets = std::mem::take(&mut self.targets);
        targets.sort_unstable();
        targets.dedup_by_key(|(name, _)| *name);
        for (name, at) in targets {
            // A pointer has 14 bits.
            if at > 0x3FFF {
                continue;
            }
            let owner = (0xC000 | at).to_be_bytes();
            if let Some(record) = self.table.a(name).first() {
                self.additional::<A_BYTES>(owner, *record);
            }
            if let Some(record) = self.table.aaaa(name).first() {
                self.additional::<AAAA_BYTES>(owner, *record);
            }
        }
    }

    fn additional<const N: usize>(&mut self, owner: [u8; 2], record: [u8; N]) {
        if self.out.len() + N <= self.limit {
            self.out.extend_from_slice(&owner);
            self.out.extend_from_slice(&record[2..]);
            self.n_additional += 1;
        }
    }

    /// The zone's SOA record, owned by the name asked from its `skip`th byte on.
    fn soa(&mut self, section: Section, skip: usize) {
        let Some(place) = self.place else { return };
        let mut data = Vec::with_capacity(64);
        zone::soa_data(place.manner, self.table.ttl_secs, self.table.serial, &mut data);
        self.rare_record(section, skip, wire::TYPE_SOA, self.table.ttl_secs, &data);
    }

    fn name_server(&mut self, section: Section, skip: usize, ttl_secs: u32) {
        let Some(place) = self.place else { return };
        self.rare_record(section, skip, wire::TYPE_NS, ttl_secs, zone::name_server(place.manner));
    }

    fn rare_record(
        &mut self,
        section: Section,
        skip: usize,
        kind: u16,
        ttl_secs: u32,
        data: &[u8],
    ) {
        let n_data = u16::try_from(data.len()).expect("two names and five numbers");
        let owner = u16::try_from(HEADER_BYTES + skip).expect("inside the question");
        if self.out.len() + 12 + data.len() > self.limit {
            return;
        }
        self.record_head((0xC000 | owner).to_be_bytes(), kind, ttl_secs.to_be_bytes(), n_data);
        self.out.extend_from_slice(data);
        match section {
            Section::Answer => self.n_answers += 1,
            Section::Authority => self.n_authority += 1,
        }
    }

    fn record_head(&mut self, owner: [u8; 2], kind: u16, ttl: [u8; 4], n_data: u16) {
        let ([k0, k1], [n0, n1]) = (kind.to_be_bytes(), n_data.to_be_bytes());
        let [t0, t1, t2, t3] = ttl;
        self.out.extend_from_slice(&[owner[0], owner[1], k0, k1, 0, 1, t0, t1, t2, t3, n0, n1]);
    }

    fn is_truncated(&self) -> bool {
        self.flags & wire::FLAG_TRUNCATED != 0
    }

    /// Adds the additional section and fills in the header.
    fn end(mut self, rcode: Rcode) -> Verdict {
        if !self.is_truncated() {
            self.target_addresses();
        }
        if let Some(edns) = self.query.edns {
            let [size_high, size_low] =
                u16::try_from(UDP_BYTES_MAX).expect("a constant below 64 k").to_be_bytes();
            let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
            self.out.extend_from_slice(&[
                0,
                0,
                41,
                size_high,
                size_low,
                rcode.high(),
                0,
                dnssec_ok,
                0,
                0,
                0,
            ]);
            self.n_additional += 1;
        }
        let words = [
            self.query.id,
            self.flags | rcode.low(),
            1,
            self.n_answers,
            self.n_authority,
            self.n_additional,
        ];
        for (to, word) in self.out.chunks_exact_mut(2).zip(words) {
            to.copy_from_slice(&word.to_be_bytes());
        }
        Verdict::Reply(rcode)
    }
}

/// Where a record stands.
#[derive(Debug, Clone, Copy)]
enum Section {
    Answer,
    Authority,
}

/// Feeds `message` to a small table over both transports and checks what must always hold.
///
/// # Panics
/// When an answer breaks a bound or repeats the wrong id: that is the point.
pub fn fuzz_answer(message: &[u8]) {
    use crate::core::naming::Sink as _;
    let mut builder = super::table::Builder::new(5, 7, 8);
    let name = builder.name("web.marathon.mesos");
    let service = builder.name("_web._tcp.marathon.mesos");
    for i in 0..200 {
        builder.address(name, std::net::Ipv4Addr::new(10, 0, 0, i).into());
        builder.service(service, 31_000 + u16::from(i), name);
    }
    let table = builder.build();
    let mut out = Vec::new();
    for (transport, limit) in [(Transport::Udp, UDP_BYTES_MAX), (Transport::Tcp, TCP_BYTES_MAX)] {
        match answer(&table, message, transport, &mut out) {
            Verdict::Reply(_) => {
                assert!(out.len() <= limit, "{} bytes over {transport:?}", out.len());
                assert_eq!(out[..2], message[..2], "the id comes back");
                assert!(wire::u16_at(&out, 2) & wire::FLAG_RESPONSE != 0);
            }
            Verdict::Elsewhere(_) => assert!(refuse(message, Rcode::Refused, &mut out)),
            Verdict::Drop => assert!(!refuse(message, Rcode::Refused, &mut out)),
        }
    }
}

#[cfg(test)]
mod tests;
