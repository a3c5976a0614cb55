//! Every bound of the system as a named constant with its reason. Units stand in the name.

use std::time::Duration;

/// Largest body of a request that anybody may send: a sign-in takes a few hundred bytes.
pub const OPEN_BODY_BYTES_MAX: usize = 64 << 10;
/// Largest body of a request of a known caller, where its route does not say otherwise.
pub const USUAL_BODY_BYTES_MAX: usize = 2 << 20;
/// Values in one JSON body: each takes some hundred bytes of memory whatever it takes as text. A
/// group of five thousand apps has half as many.
pub const JSON_VALUES_MAX: usize = 1_000_000;
/// Connections nobody has shown a credential on, of all addresses.
pub const STRANGERS_MAX: usize = 192;
/// What one connection may have in its buffers: the window of an HTTP/2 connection, which is larger
/// than a head of HTTP/1.
pub const CONNECTION_BYTES_MAX: usize = 256 << 10;
/// Heads and bodies of requests from connections nobody has shown a credential on, all together.
/// With their buffers it stays below 64 MiB.
pub const STRANGER_BYTES_MAX: usize = 12 << 20;
/// Bodies being read from everybody else, all together.
pub const KNOWN_BYTES_MAX: usize = 256 << 20;
/// Descriptors kept for the engine, the log, names, containers' output.
pub const DESCRIPTORS_RESERVE: usize = 256;
/// Connections served however few descriptors there are.
pub const CONNECTIONS_MIN: usize = 32;
/// What a request being answered takes beside its head and body: its task, its place in the
/// connection.
pub const REQUEST_BYTES: usize = 8 << 10;
/// Processor time of strangers of one address: one part in so many of one processor. With what the
/// kernel and the runtime do around it, which nobody can be charged with, it stays below a tenth.
pub const STRANGER_STRETCH: u32 = 20;
/// Processor time a stranger may use before that share counts: a page with all its files, in a
/// build without optimisation too.
pub const STRANGER_BURST: Duration = Duration::from_millis(250);
/// Shares of the loopback address: reverse proxies bring many callers from there.
pub const LOOPBACK_SHARES: u32 = 4;
/// A connection without a credential that asks for nothing is closed after this.
pub const STRANGER_IDLE: Duration = Duration::from_secs(60);
/// Largest request body an API accepts. An app definition is a few kB; a group of thousands of
/// apps, the largest legitimate body, stays below this.
pub const BODY_BYTES_MAX: usize = 16 << 20;
/// Longest id of an app, a pod or a group: what the original's own stores and Mesos took (file
/// names end at 255 bytes, and ids become directories).
pub const PATH_BYTES_MAX: usize = 255;
/// Deepest id: whatever walks a tree of groups may go this deep and no deeper.
pub const PATH_SEGMENTS_MAX: usize = 20;
/// Largest definition of one workload as it is stored. The original's store took no more than
/// 1 MiB either; every node that runs it and every master keeps it, version by version.
pub const DEFINITION_BYTES_MAX: usize = 1 << 20;
/// All stored versions of one workload together; past that the oldest go.
pub const VERSIONS_BYTES_MAX: usize = 8 << 20;
/// Elements of one list or map of a definition: well above what people write, low enough that a
/// rule that looks at each costs nothing.
pub const LIST_ITEMS_MAX: usize = 10_000;
/// Elements of the lists whose every element costs work for as long as the workload lives: checks,
/// constraints.
pub const COSTLY_ITEMS_MAX: usize = 100;
/// Broken rules told in one answer.
pub const VIOLATIONS_TOLD_MAX: usize = 100;
/// Largest request head. Browsers stop at 8–16 kB; cookies of other apps on one host add up.
pub const HEAD_BYTES_MAX: usize = 64 << 10;
/// How long a client may take to send its request head or, between two chunks, its body.
pub const CLIENT_READ: Duration = Duration::from_secs(30);
/// Connections one listener serves at a time; past that new ones wait in the accept queue.
pub const CONNECTIONS_MAX: usize = 10_000;
/// How long a request may wait for the log before the caller is told to try again.
pub const PROPOSE: Duration = Duration::from_secs(10);
/// Commands waiting for the log; past that a proposer gets "busy" at once.
pub const PROPOSALS_WAITING_MAX: usize = 16_384;
/// Commands in one log entry (group commit): bounds the time one entry holds the state machine.
pub const COMMANDS_PER_ENTRY_MAX: usize = 512;
/// Committed entries kept for followers of the change feed; a follower further behind resyncs.
pub const REPLAY_WINDOW_MAX: usize = 8_192;
/// Outcomes remembered for retried proposals.
pub const REQUESTS_REMEMBERED_MAX: usize = 10_000;
/// Stored versions kept per app (Marathon's `--zk_max_versions`).
pub const VERSIONS_PER_APP_MAX: usize = 50;
/// Changes remembered for the versions of groups. The original kept 50 copies of the whole tree;
/// here one costs what it touched, and a busy app must not push out a quiet group's history soon.
pub const GROUP_CHANGES_MAX: usize = 500;
/// What their definitions take together: most are stored as versions of their apps as well.
pub const GROUP_CHANGES_BYTES_MAX: u64 = 16 << 20;
/// Instances one workload may ask for, whatever the configuration says: a number somebody typed in
/// haste must not become work without end.
pub const INSTANCES_PER_APP_MAX: u32 = 1_000_000;
/// What the configuration says unless told otherwise (`max_instances_per_app`).
pub const INSTANCES_PER_APP_DEFAULT: u32 = 100_000;
/// Instances of one workload that wait for a place at a time. More are made as those find one, so
/// that a number no cluster has room for costs no more than one it has. Placement puts a few
/// hundred in a round; this keeps it busy.
pub const WAITING_PER_APP_MAX: usize = 2_000;
/// Instances of all workloads together that wait; past that each workload gets one, so that it is
/// tried and explained.
pub const WAITING_MAX: usize = 50_000;
/// Instances one command makes or ends: bounds its bytes (some 40 each) and the time it holds the
/// state machine, and with it everybody else's change.
pub const MOVES_PER_COMMAND_MAX: usize = 1_000;
/// Deployments running at a time (Marathon's `--max_running_deployments`).
pub const DEPLOYMENTS_MAX: usize = 100;
/// Events buffered for one event-stream client before it is cut (Marathon's default).
pub const EVENTS_PER_CLIENT_MAX: usize = 1_024;
/// Event-stream clients served at a time.
pub const EVENT_CLIENTS_MAX: usize = 1_000;
/// Between the moment an instance leaves the tables of proxies and name servers and its SIGTERM.
/// The tables follow within 100 ms, so that what was sent before them still finds a server.
pub const LEAVE_LEAD: Duration = Duration::from_millis(250);
/// Connect time-out towards a task behind the admin router (the original's nginx default).
pub const UPSTREAM_CONNECT: Duration = Duration::from_secs(5);
/// How long an upstream may stay silent before its request is given up.
pub const UPSTREAM_IDLE: Duration = Duration::from_secs(180);
/// Heartbeat of the agent link.
pub const HEARTBEAT: Duration = Duration::from_millis(500);
/// An agent silent for this long, five heartbeats, is unreachable: its tasks leave names and load
/// balancers.
pub const AGENT_SILENT_MAX: Duration = Duration::from_millis(2_500);
/// Orders of one message on the agent link, in bytes: a set that is larger goes in parts, so that
/// heartbeats and news pass between them.
pub const LINK_PART_BYTES_MAX: usize = 1 << 20;
/// Orders or reports of one message on the agent link: bounds the time one takes to be taken in.
pub const LINK_PART_ITEMS_MAX: usize = 1_000;
/// An instance on a node that was silent for this long is replaced, never earlier: a pause, a move to
/// another host or a new start of the agent are over by then.
pub const REPLACE_AFTER: Duration = Duration::from_secs(8);
/// What was replaced is remembered at least this long from the node's last word, so that a healthy
/// task which comes back is taken back (the original gave an agent 75 s to come back).
pub const FORGET_AFTER: Duration = Duration::from_secs(75);
/// One message on the agent link.
pub const LINK_MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Time a clean stop may take.
pub const STOP: Duration = Duration::from_secs(9);
/// How long open requests may go on after a stop was asked for.
pub const DRAIN: Duration = Duration::from_secs(4);
/// Largest single artifact the fetcher downloads.
pub const ARTIFACT_BYTES_MAX: u64 = 16 << 30;
/// Containers started at a time on one agent: the engine gains nothing beyond (measured 14/s at 8).
pub const CONTAINER_STARTS_MAX: usize = 8;
/// `stdout` and `stderr` are rotated at this size; one older file of each is kept.
pub const LOG_FILE_BYTES_MAX: u64 = 10 << 20;
/// Bytes returned by one file read (Mesos agents page at this size too).
pub const FILE_READ_BYTES_MAX: usize = 1 << 20;
/// What the history of the cluster may take on a master's disk, unless the configuration says
/// otherwise (`history_mb`): some 200,000 records of 300 bytes, twice a week of a busy cluster.
pub const HISTORY_BYTES_DEFAULT: u64 = 64 << 20;
/// Of the last output of a task that ended badly this much is told and kept in the history: a few
/// lines, so that a crash loop stays cheap.
pub const TAIL_BYTES_MAX: usize = 600;
/// Masters of a cluster: five decide, the others stand by.
pub const MASTERS_MAX: usize = 9;
/// Invitations of nodes that wait at a time; each is a row of the state for an hour.
pub const INVITATIONS_MAX: usize = 1_000;
/// Series of numbers over time that a leader keeps, 3.7 kB each. A service takes five to eleven, an
/// instance two or three.
pub const SERIES_MAX: usize = 20_000;
/// How long the volumes of an instance that is gone stay: long enough to notice that it was removed
/// by mistake.
pub const VOLUMES_KEEP: Duration = Duration::from_secs(7 * 24 * 3600);
