//! Names on their way to agents.

use crate::{
    message,
    model::names::{
        AddressRule, Named, NamedPort, Names, Part, Realm, Scheduler, TaskName, Transport,
    },
    numbers,
};

message!(Names { 1: part, 2: realm, 3: put, 4: gone, 5: at });
numbers!(Part { 1: Change, 2: First, 3: Middle, 4: Last, 5: Whole });
message!(Realm {
    1: masters,
    2: leader,
    3: agents,
    4: frameworks,
    5: this_node,
    6: this_node_public,
    7: name_servers,
    8: master_port,
    9: agent_port,
    10: rule,
    11: ttl_secs,
});
message!(Scheduler { 1: name, 2: host, 3: port });
numbers!(AddressRule { 1: Reachable, 2: Agent });
message!(Named { 1: instance, 2: tasks });
message!(TaskName {
    1: framework,
    2: name,
    3: is_discovered,
    4: id,
    5: agent_id,
    6: agent,
    7: own,
    8: is_mapped,
    9: host_ports,
    10: ports,
});
message!(NamedPort { 1: number, 2: name, 3: transport });
numbers!(Transport { 1: Tcp, 2: Udp });
