//! Names, queries and tables of any shape against an independent reading of them; and upstreams
//! that lie, fail or stay silent.

use std::collections::BTreeMap;

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query as Question, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata::A},
};
use proptest::prelude::*;

use super::{
    answer::{Transport, Verdict, answer},
    table::Builder,
    wire,
};
use crate::core::naming::Sink as _;

mod forward;

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.add_query(Question::query(Name::from_ascii(name).expect(name), kind));
    message
}

fn wire_of(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    wire::push_name(text, &mut out).then_some(out)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Where a name can be written at all, it is written as others write it, and its labels are
    /// where its dots were.
    #[test]
    fn names_are_written_as_others_write_them(
        labels in proptest::collection::vec("[a-zA-Z0-9_-]{0,66}", 0..8), has_dot: bool,
    ) {
        let text = format!("{}{}", labels.join("."), if has_dot { "." } else { "" });
        let bare = text.strip_suffix('.').unwrap_or(&text);
        let (root, labels) = (bare.is_empty(), bare.split('.'));
        let is_good = labels.clone().all(|l| (1..=63).contains(&l.len()))
            && labels.map(|l| l.len() + 1).sum::<usize>() < wire::NAME_BYTES_MAX;
        let ours = wire_of(&text);
        prop_assert_eq!(ours.is_some(), is_good || root, "{}", text);
        let Some(ours) = ours.filter(|_| !root) else { return Ok(()) };
        let theirs = Name::from_labels(bare.split('.').map(str::as_bytes)).unwrap().to_lowercase();
        let told: Vec<&[u8]> = wire::label_offsets(&ours)
            .map(|at| &ours[at + 1..at + 1 + usize::from(ours[at])])
            .collect();
        let (root, told) = told.split_last().unwrap();
        prop_assert!(root.is_empty());
        prop_assert_eq!(told, theirs.iter().collect::<Vec<_>>());
    }

    /// What a server has to know of a query is what an independent library wrote into it.
    #[test]
    fn queries_are_read_as_they_were_meant(
        labels in proptest::collection::vec("[a-zA-Z0-9]{1,20}", 0..6),
        kind in 1_u16..300, id: u16, n_more in 0_u8..3,
        edns in proptest::option::of((any::<u16>(), any::<u8>(), any::<bool>())),
    ) {
        let name = format!("{}.", labels.join("."));
        let mut message = query(&name, RecordType::from(kind));
        message.metadata.id = id;
        for n in 0..n_more {
            // Records nobody asked for, with names that are pointers.
            let data = RData::A(A::new(10, 0, 0, n));
            let owner = Name::from_ascii(&name).unwrap();
            message.answers.push(Record::from_rdata(owner, 5, data));
        }
        if let Some((payload, version, dnssec_ok)) = edns {
            let mut record = Edns::new();
            record.set_max_payload(payload).set_version(version).set_dnssec_ok(dnssec_ok);
            message.set_edns(record);
        }
        let bytes = message.to_vec().unwrap();
        let read = wire::parse(&bytes).unwrap();
        prop_assert_eq!((read.id, read.qtype, read.qclass), (id, kind, wire::CLASS_IN));
        prop_assert_eq!(Some(read.name().to_ascii_lowercase()), wire_of(&name));
        let told = read.edns.map(|e| (e.version, e.dnssec_ok));
        prop_assert_eq!(told, edns.map(|(_, version, dnssec_ok)| (version, dnssec_ok)));
        let asked = message.edns.as_ref().map(Edns::max_payload);
        prop_assert_eq!(read.edns.map(|e| e.payload_bytes), asked);
    }

    /// However many names there are and in whatever order they come, each finds its own records
    /// and nobody finds those of another.
    #[test]
    fn a_table_of_any_size_finds_each_name_and_no_other(
        names in proptest::collection::btree_map(
            "[a-c]{1,4}(\\.[a-c]{1,3}){0,2}", 0_u32..4, 0..200,
        ),
        guess in 0_usize..300, strangers in proptest::collection::vec("[a-d]{1,5}", 0..20),
    ) {
        let mut builder = Builder::new(5, 1, guess);
        for (name, n) in &names {
            let id = builder.name(&name.to_uppercase());
            for ip in (0..*n).chain(0..*n) {
                builder.address(id, std::net::Ipv4Addr::from(ip).into());
            }
        }
        let table = builder.build();
        let of = |name: &str| table.find(&wire_of(name).unwrap());
        prop_assert_eq!(table.n_records(), names.values().map(|n| *n as usize).sum::<usize>());
        for (name, n) in &names {
            let id = of(name).unwrap();
            prop_assert_eq!(Some(table.wire(id).to_vec()), wire_of(name));
            prop_assert_eq!(table.a(id).len(), *n as usize, "each address once");
            prop_assert_eq!(table.owns_records(id), *n > 0);
        }
        for stranger in strangers.iter().filter(|name| !names.contains_key(*name)) {
            prop_assert_eq!(of(stranger), None);
        }
    }
}

/// Under an alias a name may be as long as a name can be, and longer than that once respelt.
#[test]
fn a_name_that_grows_too_long_under_its_own_spelling_does_not_exist() {
    let table = {
        let mut builder = Builder::new(5, 1, 4);
        let id = builder.name("a.l4lb.thisdcos.directory");
        builder.address(id, [11, 0, 0, 1].into());
        builder.build()
    };
    let label = "x".repeat(63);
    let deep = format!("{label}.{label}.{label}");
    for (name, code) in [
        ("a.dclb.thisdcos.global.".to_owned(), ResponseCode::NoError),
        (format!("{deep}.{}.dclb.thisdcos.global.", "x".repeat(33)), ResponseCode::NXDomain),
        (format!("{deep}.{}.dclb.thisdcos.global.", "x".repeat(40)), ResponseCode::NXDomain),
    ] {
        let bytes = query(&name, RecordType::A).to_vec().expect("a query");
        for transport in [Transport::Udp, Transport::Tcp] {
            let mut out = Vec::new();
            let verdict = answer(&table, &bytes, transport, &mut out);
            assert!(matches!(verdict, Verdict::Reply(_)), "{name}");
            let reply = Message::from_vec(&out).expect("it is read by others");
            assert_eq!(reply.metadata.response_code, code, "{name}");
        }
    }
}

#[test]
fn names_that_cannot_be_carried_are_counted_and_take_nothing_with_them() {
    let mut builder = Builder::new(5, 1, 0);
    let good = builder.name("good.mesos");
    let bad = builder.name(&format!("{}.mesos", "x".repeat(64)));
    for id in [good, bad] {
        builder.address(id, [10, 0, 0, 1].into());
        builder.service(id, 80, bad);
        builder.service(bad, 80, id);
    }
    builder.service(good, 80, good);
    let table = builder.build();
    assert_eq!((table.n_names(), table.n_skipped(), table.n_records()), (1, 1, 2));
}

/// What a client is told fits into what it takes, for every size it may name.
#[test]
fn an_answer_is_never_larger_than_the_client_takes_and_says_when_it_is_cut() {
    let n_all = 300_u32;
    let table = {
        let mut builder = Builder::new(5, 1, 4);
        let id = builder.name("many.mesos");
        (0..n_all).for_each(|n| builder.address(id, std::net::Ipv4Addr::from(n).into()));
        builder.build()
    };
    let mut sizes = BTreeMap::new();
    for payload in (0..=4_096).step_by(64).chain([511, 512, 513, 1_231, 1_232, 1_233, u16::MAX]) {
        let mut message = query("many.mesos.", RecordType::A);
        let mut edns = Edns::new();
        edns.set_max_payload(payload);
        message.set_edns(edns);
        let mut out = Vec::new();
        answer(&table, &message.to_vec().expect("a query"), Transport::Udp, &mut out);
        let takes = usize::from(payload).clamp(512, 1_232);
        assert!(out.len() <= takes && out.len() > takes - 16, "{} of {takes}", out.len());
        let reply = Message::from_vec(&out).expect("whole records only");
        assert!(reply.metadata.truncation);
        sizes.insert(payload, reply.answers.len());
    }
    assert!(sizes.values().is_sorted(), "{sizes:?}");
}
