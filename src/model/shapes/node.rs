//! Nodes and what they have.

use std::collections::BTreeMap;

use crate::{
    base::level,
    choice, message,
    model::{
        access::Role,
        master::{Addresses, Envelope, Master},
        node::{Attribute, Duty, FaultDomain, Node, NodeId, NodeInfo, NodeKind, Reach},
        resource::{Pools, Ranges, Resources, Scalars, Value},
    },
    numbers, text_ids, transparent, written_as,
};

numbers!(NodeKind { 1: Agent, 2: PublicAgent, 3: Both });
message!(FaultDomain { 1: region, 2: zone });
choice!(Attribute { 1: Text(it), 2: Scalar(it), 3: Ranges(it), 4: Set[list] });
choice!(Reach { 1: Reachable, 2: Unreachable { 1: since } });
choice!(Duty {
    1: Active,
    2: Draining { 1: since, 2: until },
    3: Drained { 1: since },
    4: Deactivated { 1: since },
});
message!(NodeInfo {
    1: id,
    2: hostname,
    3: address,
    4: kind,
    5: attributes,
    6: fault_domain,
    7: total,
    8: version,
    9: level = level::FIRST,
});
message!(Master {
    1: id,
    2: release,
    3: level,
    4: addresses,
    5: node,
    6: seal,
    7: sealed,
    8: stands_by = false,
});
message!(Envelope { 1: share, 2: text });
message!(Addresses { 1: peers, 2: router, 3: marathon, 4: mesos });
message!(Node { 1: info, 2: reach, 3: duty, 4: registered_at, 5: reregistered_at });
message!(Scalars { 1: cpus, 2: mem, 3: disk, 4: gpus });
choice!(Value { 1: Scalar(it), 2: Ranges(it), 3: Set[list] });
message!(Resources { 1: scalars, 2: ports, 3: named });

text_ids!(NodeId: NodeId::from);
transparent!(Pools(BTreeMap<Role, Resources>));
written_as!(Ranges as Option<Vec<(u64, u64)>>, |ranges| Some(ranges.iter().collect()), |pairs| Ok(
    Ranges::of(pairs.unwrap_or_default())
));
