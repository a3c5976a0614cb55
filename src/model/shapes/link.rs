//! The agent link. `Desired` stands beside its packing, in `link::packed`.

use crate::{
    choice, message,
    model::link::{
        Answer, AskError, Asked, Channel, EngineAway, FileEntry, FromAgent, Greeting, Hello, Hit,
        Masters, Mounted, Order, Question, Report, TaskUsage, ToAgent, Usage, VolumeUsage, Volumes,
    },
    numbers,
};

choice!(FromAgent {
    1: Hello(it),
    2: Reports[list],
    3: Heartbeat(it),
    4: Answer { 1: id, 2: answer },
    5: Data { 1: id, 2: channel, 3: bytes },
    6: End { 1: id, 2: exit_code },
    10: Wiped[list],
});
choice!(ToAgent {
    1: Welcome { 1: cluster },
    2: Refused(it),
    3: Removed(it),
    4: Desired(it),
    5: TellAll,
    6: DesiredPart { 1: first, 2: orders },
    7: Ask { 1: id, 2: question },
    8: Data { 1: id, 2: channel, 3: bytes },
    9: End { 1: id },
    10: Credit { 1: id, 2: n },
    11: Names(it),
    12: Masters(it),
    15: Volumes(it),
});
message!(Masters { 1: leader, 2: all });
message!(Greeting { 1: oldest, 2: newest, 3: release });
message!(Hello { 1: info, 2: reports });
message!(Order {
    1: instance,
    2: incarnation,
    3: spec,
    4: placement,
    5: kill,
    6: enforce_role,
    7: volumes,
});
message!(Volumes { 1: kept, 2: wipe });
message!(Mounted { 1: id, 2: path, 3: epoch });
message!(VolumeUsage { 1: instance, 2: path, 3: bytes });
message!(Report {
    1: instance,
    2: incarnation,
    3: condition,
    4: at,
    5: started_at,
    6: message,
    7: addresses,
    8: health,
    9: ready,
    10: readiness,
    11: check,
    12: containers,
    13: unhealthy,
    14: tail,
    15: exit_code,
});
message!(Usage {
    1: cpus,
    2: mem_bytes,
    3: disk_bytes,
    4: load_1m,
    5: tasks,
    6: ports_held,
    7: engine_away,
    8: volumes,
});
message!(EngineAway { 1: since, 2: cause });
message!(TaskUsage { 1: instance, 2: cpus, 3: mem_bytes });
choice!(Question {
    1: ListFiles { 1: instance, 2: incarnation, 3: path },
    2: ReadFile { 1: instance, 2: incarnation, 3: path, 4: offset, 5: bytes_max },
    3: Exec { 1: instance, 2: container, 3: command, 4: tty, 5: stdin },
    4: Usage,
    5: SearchFile {
        1: instance,
        2: incarnation,
        3: path,
        4: pattern,
        5: offset,
        6: line,
        7: hits_max,
    },
});
message!(Asked { 1: node, 2: question });
choice!(Answer {
    1: Files[list],
    2: File { 1: offset, 2: size, 3: bytes },
    3: Started,
    4: Usage(it),
    5: Searched { 1: hits, 2: offset, 3: line, 4: size },
});
message!(Hit { 1: line, 2: offset, 3: n_bytes, 4: text, 5: is_cut });
choice!(AskError {
    1: NotFound(it),
    2: Invalid(it),
    3: Failed(it),
    4: NotConnected(it),
    5: TimedOut,
});
message!(FileEntry {
    1: path,
    2: is_dir,
    3: bytes,
    4: modified_at,
    5: mode,
    6: links,
    7: uid,
    8: gid,
});
numbers!(Channel { 1: Stdin, 2: Stdout, 3: Stderr, 4: Resize });
