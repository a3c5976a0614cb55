//! Questions and the exact answers, decoded by an independent library.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query as Question, ResponseCode},
    rr::{Name, RData, RecordType},
};
use proptest::prelude::*;

use super::*;
use crate::{core::naming::Sink as _, dns::table::Builder};

/// A small cluster's table.
fn table() -> Table {
    let mut builder = Builder::new(5, 99, 16);
    let mut put = |name: &str, ips: &[&str]| {
        let id = builder.name(name);
        for ip in ips {
            builder.address(id, ip.parse().unwrap());
        }
        id
    };
    put("leader.mesos", &["10.0.0.1"]);
    put("web.sub.g.marathon.mesos", &["10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.5"]);
    put("v6.marathon.mesos", &["fd01:b::5"]);
    put("web-g.marathon.autoip.dcos.thisdcos.directory", &["10.0.0.5"]);
    put("vip.marathon.l4lb.thisdcos.directory", &["11.0.0.1"]);
    put("thisnode.thisdcos.directory", &["10.0.0.9"]);
    put("localhost", &["127.0.0.1"]);
    let many: Vec<String> = (0..128).map(|i| format!("10.1.0.{i}")).collect();
    put("many.marathon.mesos", &many.iter().map(String::as_str).collect::<Vec<_>>());
    let one = put("web-abcde-s1.marathon.mesos", &["10.0.0.5"]);
    let two = put("web-fghij-s2.marathon.mesos", &["10.0.0.6", "fd01:b::6"]);
    let service = builder.name("_web._tcp.marathon.mesos");
    builder.service(service, 31_001, one);
    builder.service(service, 31_002, one);
    builder.service(service, 31_003, two);
    let wide = builder.name("_wide._tcp.marathon.mesos");
    for i in 0..1000 {
        let target = builder.name(&format!("wide-{i:05}-s{i}.marathon.mesos"));
        builder.address(target, Ipv4Addr::from(0x0A00_0000 + i).into());
        builder.service(wide, 31_000, target);
    }
    builder.build()
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Question::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn ask_message(message: &Message, transport: Transport) -> (Message, usize) {
    let mut out = Vec::new();
    let bytes = message.to_vec().unwrap();
    let verdict = answer(&table(), &bytes, transport, &mut out);
    assert!(matches!(verdict, Verdict::Reply(_)), "{verdict:?}");
    (Message::from_vec(&out).expect("an independent decoder reads it"), out.len())
}

fn ask(name: &str, kind: RecordType) -> Message {
    ask_message(&query(name, kind), Transport::Udp).0
}

/// Answer section as `owner type data`, sorted.
fn answers(message: &Message) -> Vec<String> {
    let mut lines: Vec<String> = message
        .answers
        .iter()
        .map(|r| format!("{} {} {}", r.name.to_ascii(), r.record_type(), r.data))
        .collect();
    lines.sort();
    lines
}

fn codes(message: &Message) -> (ResponseCode, bool, bool, usize, usize) {
    let m = &message.metadata;
    let (n_answers, n_authority) = (message.answers.len(), message.authorities.len());
    (m.response_code, m.authoritative, m.recursion_available, n_answers, n_authority)
}

#[test]
fn addresses_come_back_under_the_name_as_asked() {
    let reply = ask("wEb.sUb.G.MaraThon.mesos.", RecordType::A);
    assert_eq!(codes(&reply), (ResponseCode::NoError, true, true, 3, 0));
    assert_eq!(reply.metadata.id, 4711);
    assert!(reply.metadata.recursion_desired && !reply.metadata.truncation);
    assert_eq!(
        answers(&reply),
        [
            "wEb.sUb.G.MaraThon.mesos. A 10.0.0.5",
            "wEb.sUb.G.MaraThon.mesos. A 10.0.0.6",
            "wEb.sUb.G.MaraThon.mesos. A 10.0.0.7",
        ]
    );
    assert!(reply.answers.iter().all(|r| r.ttl == 5));
    let v6 = ask("v6.marathon.mesos.", RecordType::AAAA);
    assert_eq!(answers(&v6), ["v6.marathon.mesos. AAAA fd01:b::5"]);
}

#[test]
fn the_id_turns_the_order() {
    let first_of = |id: u16| {
        let mut message = query("web.sub.g.marathon.mesos.", RecordType::A);
        message.metadata.id = id;
        ask_message(&message, Transport::Udp).0.answers[0].data.to_string()
    };
    assert_eq!([0, 1, 2, 3].map(first_of), ["10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.5"]);
}

/// (name, type) → code, AA, RA, answers, authority records, and the owner of the first of those.
#[test]
fn each_zone_has_its_manners() {
    use RecordType::{A, AAAA, ANY, NS, SOA, SRV, TXT};
    use ResponseCode::{NXDomain, NoError, Refused};
    let apex = "thisdcos.directory.";
    for (name, kind, code, aa, ra, n_answers, owner) in [
        // zone mesos: the manners of Mesos-DNS
        ("nosuch.marathon.mesos.", A, NXDomain, true, true, 0, "nosuch.marathon.mesos."),
        ("nosuch.marathon.mesos.", TXT, NXDomain, true, true, 0, "nosuch.marathon.mesos."),
        ("web.sub.g.marathon.mesos.", TXT, NoError, true, true, 0, "web.sub.g.marathon.mesos."),
        ("leader.mesos.", AAAA, NoError, true, true, 0, "leader.mesos."),
        ("_nosuch._tcp.marathon.mesos.", SRV, NoError, true, true, 0, ""),
        ("_web._tcp.marathon.mesos.", A, NoError, true, true, 0, "_web._tcp.marathon.mesos."),
        ("leader.mesos.", SRV, NoError, true, true, 0, ""),
        ("mesos.", SOA, NoError, true, true, 0, "mesos."),
        ("anything.mesos.", NS, NoError, true, true, 0, "anything.mesos."),
        ("leader.mesos.", ANY, NoError, true, true, 1, "leader.mesos."),
        ("leader.*.mesos.", A, NoError, true, true, 1, ""),
        // the nodes' zones
        ("web-g.marathon.autoip.dcos.thisdcos.directory.", A, NoError, true, false, 1, ""),
        ("WEB-G.marathon.autoip.dcos.thisdcos.GLOBAL.", A, NoError, true, false, 1, ""),
        ("x.y.autoip.dcos.thisdcos.directory.", A, NXDomain, true, false, 0, "dcos.@"),
        ("web-g.marathon.autoip.dcos.thisdcos.directory.", TXT, NoError, true, false, 0, "dcos.@"),
        ("dcos.thisdcos.directory.", SOA, NoError, true, false, 1, ""),
        ("dcos.thisdcos.directory.", A, NoError, true, false, 0, "dcos.@"),
        ("x.nozone.thisdcos.directory.", A, NoError, true, false, 0, ""),
        ("vip.marathon.l4lb.thisdcos.directory.", A, NoError, true, false, 1, ""),
        ("vip.marathon.dclb.thisdcos.directory.", A, NoError, true, false, 1, ""),
        ("vip.marathon.dclb.thisdcos.global.", A, NoError, true, false, 1, ""),
        ("thisnode.thisdcos.directory.", A, NoError, true, false, 1, ""),
        ("leader.mesos.thisdcos.directory.", A, NoError, true, false, 1, ""),
        ("nosuch.mesos.thisdcos.directory.", A, NXDomain, true, false, 0, "mesos.@"),
        ("localhost.", A, NoError, true, false, 1, ""),
        ("leader.mesos.", RecordType::AXFR, Refused, false, false, 0, ""),
        ("thisnode.thisdcos.directory.", RecordType::RRSIG, Refused, false, false, 0, ""),
    ] {
        let reply = ask(name, kind);
        let metadata = &reply.metadata;
        let found = (
            metadata.response_code,
            metadata.authoritative,
            metadata.recursion_available,
            reply.answers.len(),
            reply.authorities.first().map(|r| r.name.to_ascii()).unwrap_or_default(),
        );
        let want = (code, aa, ra, n_answers, owner.replace('@', apex));
        assert_eq!(found, want, "{name} {kind}");
        assert!(reply.answers.iter().all(|r| r.name.to_ascii() == name), "{name} {kind}");
    }
}

#[test]
fn services_come_with_the_addresses_of_their_targets() {
    let reply = ask("_web._tcp.marathon.mesos.", RecordType::SRV);
    assert_eq!(
        answers(&reply),
        [
            "_web._tcp.marathon.mesos. SRV 0 1 31001 web-abcde-s1.marathon.mesos.",
            "_web._tcp.marathon.mesos. SRV 0 1 31002 web-abcde-s1.marathon.mesos.",
            "_web._tcp.marathon.mesos. SRV 0 1 31003 web-fghij-s2.marathon.mesos.",
        ]
    );
    let mut beside: Vec<String> =
        reply.additionals.iter().map(|r| format!("{} {}", r.name.to_ascii(), r.data)).collect();
    beside.sort();
    assert_eq!(
        beside,
        [
            "web-abcde-s1.marathon.mesos. 10.0.0.5",
            "web-fghij-s2.marathon.mesos. 10.0.0.6",
            "web-fghij-s2.marathon.mesos. fd01:b::6",
        ]
    );
}

#[test]
fn targets_are_renamed_under_an_alias() {
    let reply = ask("_web._tcp.marathon.mesos.thisdcos.directory.", RecordType::SRV);
    let targets: Vec<String> = reply
        .answers
        .iter()
        .filter_map(|r| match &r.data {
            RData::SRV(srv) => Some(srv.target.to_ascii()),
            _ => None,
        })
        .collect();
    assert_eq!(targets.len(), 3);
    assert!(targets.iter().all(|t| t.ends_with(".marathon.mesos.thisdcos.directory.")));
    assert_eq!(reply.additionals.len(), 3);
}

#[test]
fn too_much_for_a_datagram_is_cut_and_said() {
    let name = "many.marathon.mesos.";
    let plain = query(name, RecordType::A);
    let (reply, n_bytes) = ask_message(&plain, Transport::Udp);
    assert!(reply.metadata.truncation && n_bytes <= 512);
    assert_eq!(reply.answers.len(), (512 - 12 - 25) / 16);
    let mut wide = plain.clone();
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    wide.set_edns(edns);
    let (reply, n_bytes) = ask_message(&wide, Transport::Udp);
    assert!(reply.metadata.truncation && n_bytes <= UDP_BYTES_MAX && n_bytes > 1100);
    assert_eq!(reply.edns.as_ref().map(|e| e.max_payload()), Some(1232));
    let (reply, _) = ask_message(&plain, Transport::Tcp);
    assert!(!reply.metadata.truncation);
    assert_eq!(reply.answers.len(), 128);
}

#[test]
fn many_services_over_tcp_stay_within_a_message() {
    let (reply, n_bytes) =
        ask_message(&query("_wide._tcp.marathon.mesos.", RecordType::SRV), Transport::Tcp);
    assert_eq!(reply.answers.len(), 1000);
    assert!(!reply.metadata.truncation && n_bytes <= TCP_BYTES_MAX);
    let (reply, n_bytes) =
        ask_message(&query("_wide._tcp.marathon.mesos.", RecordType::SRV), Transport::Udp);
    assert!(reply.metadata.truncation && n_bytes <= 512 && !reply.answers.is_empty());
}

#[test]
fn edns_is_echoed_and_its_version_checked() {
    let mut message = query("leader.mesos.", RecordType::A);
    let mut edns = Edns::new();
    edns.set_dnssec_ok(true);
    message.set_edns(edns.clone());
    let (reply, _) = ask_message(&message, Transport::Udp);
    assert!(reply.edns.as_ref().unwrap().flags().dnssec_ok);
    edns.set_version(1);
    message.set_edns(edns);
    let (reply, _) = ask_message(&message, Transport::Udp);
    assert_eq!(u16::from(reply.metadata.response_code), 16, "BADVERS");
    assert!(reply.answers.is_empty());
    assert!(ask("leader.mesos.", RecordType::A).edns.is_none());
}

#[test]
fn before_the_first_table_nothing_is_denied() {
    let bytes = query("leader.mesos.", RecordType::A).to_vec().unwrap();
    let mut out = Vec::new();
    let verdict = answer(&Table::default(), &bytes, Transport::Udp, &mut out);
    assert_eq!(verdict, Verdict::Elsewhere(Whose::Masters));
}

/// A name of somebody else.
const WORLD: Verdict = Verdict::Elsewhere(Whose::World);

/// Load balancers that fill their servers from an SRV answer take servers down that are missing
/// from it, so what a cut answer holds must not depend on the message id.
#[test]
fn a_cut_service_answer_is_the_same_whatever_the_id() {
    use crate::{core::naming::Sink as _, dns::table::Builder};
    let with = |n_services: u8| {
        let mut builder = Builder::new(5, 7, 256);
        let service = builder.name("_web._tcp.marathon.mesos");
        for i in 0..n_services {
            let target = builder.name(&format!("web-a1b2c-s{i}.marathon.mesos"));
            builder.address(target, std::net::Ipv4Addr::new(10, 0, 0, i).into());
            builder.service(service, 31_000 + u16::from(i), target);
        }
        builder.build()
    };
    let ports = |table: &Table, id: u16| -> Vec<u16> {
        let mut message = query("_web._tcp.marathon.mesos.", RecordType::SRV);
        message.metadata.id = id;
        let mut out = Vec::new();
        answer(table, &message.to_vec().unwrap(), Transport::Udp, &mut out);
        let reply = Message::from_vec(&out).unwrap();
        let port = |r: &hickory_proto::rr::Record| match &r.data {
            RData::SRV(srv) => srv.port,
            other => panic!("{other:?}"),
        };
        reply.answers.iter().map(port).collect()
    };
    let (many, few) = (with(60), with(5));
    let cut = ports(&many, 0);
    assert!(cut.len() < 60, "it is cut");
    assert!((1..500).all(|id| ports(&many, id) == cut));
    // Where all fit they are turned, which spreads clients.
    assert_eq!(ports(&few, 0).first(), Some(&31_000));
    assert_eq!(ports(&few, 3).first(), Some(&31_003));
}

#[test]
fn names_of_others_are_forwarded() {
    for name in ["example.com.", ".", "thisdcos.directory.", "mesos.example.", "notmesos."] {
        let bytes = query(name, RecordType::A).to_vec().unwrap();
        let mut out = Vec::new();
        assert_eq!(answer(&table(), &bytes, Transport::Udp, &mut out), WORLD, "{name}");
        assert!(refuse(&bytes, Rcode::Refused, &mut out));
        let reply = Message::from_vec(&out).unwrap();
        assert_eq!(codes(&reply), (ResponseCode::Refused, false, false, 0, 0));
    }
}

#[test]
fn broken_messages_get_a_header_or_nothing() {
    let good = query("leader.mesos.", RecordType::A).to_vec().unwrap();
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let (form, not_imp) = (Verdict::Reply(Rcode::FormErr), Verdict::Reply(Rcode::NotImp));
    for (why, bytes, want) in [
        ("empty", Vec::new(), Verdict::Drop),
        ("short", good[..11].to_vec(), Verdict::Drop),
        ("a response", changed(2, 0x80), Verdict::Drop),
        ("an update", changed(2, 5 << 3), not_imp),
        ("no question", changed(5, 0), form),
        ("two questions", changed(5, 2), form),
        ("cut in the name", good[..16].to_vec(), form),
        ("cut in the class", good[..good.len() - 1].to_vec(), form),
        ("a pointer as a name", changed(12, 0xC0), form),
        ("an additional record that is not there", changed(11, 1), form),
    ] {
        let mut out = Vec::new();
        assert_eq!(answer(&table(), &bytes, Transport::Udp, &mut out), want, "{why}");
        if want != Verdict::Drop {
            assert_eq!((out.len(), &out[..2]), (HEADER_BYTES, &bytes[..2]), "{why}");
        }
    }
    let mut chaos = query("version.bind.", RecordType::TXT);
    chaos.queries[0].query_class = hickory_proto::rr::DNSClass::CH;
    let bytes = chaos.to_vec().unwrap();
    assert_eq!(answer(&table(), &bytes, Transport::Udp, &mut Vec::new()), WORLD);
}

#[test]
fn known_bad_messages_do_no_harm() {
    for bytes in [
        &b""[..],
        &[0; 12],
        &[0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 41],
        &[0, 1, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 5, b'm', b'e', b's', b'o', b's', 0, 0, 1],
        &[0xFF; 600],
    ] {
        fuzz_answer(bytes);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzz_answer(&bytes);
    }

    /// A real query with a few bytes turned over reaches deeper than noise.
    #[test]
    fn damaged_queries_are_survived(
        which in 0usize..4,
        damage in proptest::collection::vec((0usize..64, any::<u8>()), 0..4),
        cut in 0usize..80,
    ) {
        let name = ["web.marathon.mesos.", "_web._tcp.marathon.mesos.", "a.b.dcos.thisdcos.directory.",
            "example.com."][which];
        let mut message = query(name, RecordType::ANY);
        message.set_edns(Edns::new());
        let mut bytes = message.to_vec().unwrap();
        for (at, value) in damage {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        bytes.truncate(cut.max(1));
        fuzz_answer(&bytes);
    }

    /// What goes in comes out, read by an independent decoder.
    #[test]
    fn encoded_addresses_decode(
        names in proptest::collection::btree_map(
            "[a-z0-9]{1,20}(\\.[a-z0-9]{1,6}){0,3}",
            proptest::collection::btree_set(any::<u32>(), 1..20),
            1..20,
        ),
        id in any::<u16>(),
    ) {
        let mut builder = Builder::new(5, 1, 1);
        for (name, ips) in &names {
            let owner = builder.name(&format!("{name}.mesos"));
            for ip in ips {
                builder.address(owner, IpAddr::V4(Ipv4Addr::from(*ip)));
            }
        }
        let table = builder.build();
        for (name, ips) in &names {
            let mut message = query(&format!("{name}.mesos."), RecordType::A);
            message.metadata.id = id;
            let mut out = Vec::new();
            let verdict =
                answer(&table, &message.to_vec().unwrap(), Transport::Udp, &mut out);
            prop_assert_eq!(verdict, Verdict::Reply(Rcode::NoError));
            let reply = Message::from_vec(&out).unwrap();
            let found: std::collections::BTreeSet<u32> = reply.answers.iter()
                .filter_map(|r| match r.data { RData::A(a) => Some(u32::from(a.0)), _ => None })
                .collect();
            prop_assert_eq!(&found, ips);
        }
    }
}
