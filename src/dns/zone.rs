//! The zones we are the authority of, and the manners of each.
//!
//! Two old servers live on here: Mesos-DNS for `mesos`, and the resolver of each node for
//! everything below `thisdcos.directory` and its aliases. They disagreed on flags, on the owner of
//! the SOA record and on missing services; clients depend on both (docs/compat/dns.md, "Zones").
//! This file is the list of suffixes; composing messages is `answer`'s business.

use super::wire::{self, LowerName};

/// How a zone answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Mesos-DNS: recursion available; the SOA record is owned by the name asked; a missing SRV is
    /// an empty success; SOA and NS stand in the authority section.
    MesosDns,
    /// The resolver of each node: no recursion bit; the SOA record is owned by the zone.
    Node,
    /// A zone below ours that nobody has made: an empty success.
    Unmade,
}

/// Where a question belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub manner: Manner,
    /// Length of the zone's own suffix at the end of the name asked.
    pub apex_len: usize,
    /// The suffix in the table when another was asked.
    pub canonical: Option<&'static [u8]>,
}

/// `mesos`, in wire form.
pub(super) const MESOS: &[u8] = b"\x05mesos\0";
/// The zone of virtual addresses; `dclb` is its older name.
const L4LB: &[u8] = b"\x04l4lb\x08thisdcos\x09directory\0";
const DIRECTORY: &[u8] = b"\x08thisdcos\x09directory\0";

/// Suffixes in wire form with their manner and canonical spelling. The longest match wins.
const SUFFIXES: &[(&[u8], Manner, Option<&[u8]>)] = &[
    (MESOS, Manner::MesosDns, None),
    (b"\x09localhost\0", Manner::Node, None),
    (b"\x02zk\0", Manner::Node, None),
    (b"\x07spartan\0", Manner::Node, None),
    (b"\x04dcos\x08thisdcos\x09directory\0", Manner::Node, None),
    (b"\x08thisnode\x08thisdcos\x09directory\0", Manner::Node, None),
    (L4LB, Manner::Node, None),
    (b"\x04dclb\x08thisdcos\x09directory\0", Manner::Node, Some(L4LB)),
    (b"\x05mesos\x08thisdcos\x09directory\0", Manner::Node, Some(MESOS)),
    (
        b"\x04dcos\x08thisdcos\x06global\0",
        Manner::Node,
        Some(b"\x04dcos\x08thisdcos\x09directory\0"),
    ),
    (
        b"\x08thisnode\x08thisdcos\x06global\0",
        Manner::Node,
        Some(b"\x08thisnode\x08thisdcos\x09directory\0"),
    ),
    (b"\x04l4lb\x08thisdcos\x06global\0", Manner::Node, Some(L4LB)),
    (b"\x04dclb\x08thisdcos\x06global\0", Manner::Node, Some(L4LB)),
    (b"\x05mesos\x08thisdcos\x06global\0", Manner::Node, Some(MESOS)),
];

/// The zone a lower-cased wire name belongs to; `None` when it is none of ours.
pub(super) fn place(name: &[u8]) -> Option<Place> {
    for at in wire::label_offsets(name) {
        let suffix = &name[at..];
        let known = SUFFIXES.iter().find(|(s, ..)| *s == suffix);
        if let Some(&(_, manner, canonical)) = known {
            return Some(Place { manner, apex_len: suffix.len(), canonical });
        }
        // `Z.thisdcos.directory` for a Z that is in no list: the zone exists, nothing is in it.
        let below = suffix.get(1 + usize::from(*suffix.first()?)..)?;
        if below == DIRECTORY || below == b"\x08thisdcos\x06global\0" {
            return Some(Place { manner: Manner::Unmade, apex_len: suffix.len(), canonical: None });
        }
    }
    None
}

/// `name` with its last `apex_len` bytes replaced by `canonical`; `None` when it grows too long.
pub(super) fn respell(name: &[u8], apex_len: usize, canonical: &[u8]) -> Option<LowerName> {
    let prefix = &name[..name.len() - apex_len];
    join(prefix, canonical)
}

/// `name` without the labels `*` below its first one: Mesos-DNS dropped them before it looked.
pub(super) fn without_stars(name: &[u8]) -> Option<LowerName> {
    let mut plain = Vec::with_capacity(name.len());
    for at in wire::label_offsets(name) {
        let end = at + 1 + usize::from(name[at]);
        let label = &name[at..end];
        if at == 0 || label != b"\x01*" {
            plain.extend_from_slice(label);
        }
    }
    (plain.len() < name.len()).then(|| LowerName::fold(&plain))
}

fn join(prefix: &[u8], suffix: &[u8]) -> Option<LowerName> {
    let n = prefix.len() + suffix.len();
    (n <= wire::NAME_BYTES_MAX).then(|| LowerName::fold(&[prefix, suffix].concat()))
}

/// The data of the zone's SOA record, names uncompressed.
pub(super) fn soa_data(manner: Manner, ttl_secs: u32, serial: u32, out: &mut Vec<u8>) {
    let numbers = match manner {
        Manner::MesosDns => {
            out.extend_from_slice(b"\x03ns1\x05mesos\0\x04root\x03ns1\x05mesos\0");
            [serial, 60, 600, 86_400, ttl_secs]
        }
        Manner::Node | Manner::Unmade => {
            out.extend_from_slice(NODE_NS);
            out.extend_from_slice(b"\x07support\x0amesosphere\x03com\0");
            [1, 60, 180, 86_400, 1]
        }
    };
    for number in numbers {
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// The name server of a zone.
pub(super) fn name_server(manner: Manner) -> &'static [u8] {
    match manner {
        Manner::MesosDns => b"\x03ns1\x05mesos\0",
        Manner::Node | Manner::Unmade => NODE_NS,
    }
}

const NODE_NS: &[u8] = b"\x02ns\x07spartan\0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_written_here_is_well_formed() {
        let listed = SUFFIXES.iter().flat_map(|(asked, _, canonical)| [Some(*asked), *canonical]);
        let names = [NODE_NS, MESOS, L4LB, DIRECTORY, name_server(Manner::MesosDns)];
        for name in listed.flatten().chain(names) {
            let mut labels = wire::label_offsets(name).collect::<Vec<_>>();
            let root = labels.pop().unwrap();
            assert_eq!((root, name[root]), (name.len() - 1, 0), "{name:?}");
            let is_text = |at: &usize| {
                let label = &name[at + 1..=at + usize::from(name[*at])];
                label.iter().all(u8::is_ascii_alphanumeric)
            };
            assert!(labels.iter().all(is_text), "{name:?}");
        }
    }

    #[test]
    fn the_longest_suffix_wins() {
        let of = |text: &str| {
            let mut wire = Vec::new();
            assert!(wire::push_name(text, &mut wire));
            place(&wire).map(|p| (p.manner, p.apex_len, p.canonical.is_some()))
        };
        for (name, want) in [
            ("mesos", Some((Manner::MesosDns, 7, false))),
            ("a.b.mesos", Some((Manner::MesosDns, 7, false))),
            ("a.mesos.thisdcos.directory", Some((Manner::Node, 26, true))),
            ("a.dcos.thisdcos.directory", Some((Manner::Node, 25, false))),
            ("a.other.thisdcos.directory", Some((Manner::Unmade, 26, false))),
            ("thisdcos.directory", None),
            ("xmesos", None),
            ("mesos.com", None),
        ] {
            assert_eq!(of(name), want, "{name}");
        }
    }
}
