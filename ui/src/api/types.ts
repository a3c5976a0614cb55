// The shapes of /tepui/v1: made from docs/api/openapi.yaml by `npm run types`, not by hand.

/** For a passphrase or for public keys; with `keep` and neither, for the keys that are set. */
export interface NewBackup {
  /** Whoever knows it opens the backup; 12 characters or more. */
  passphrase?: string;
  /** Public keys, `age1…`; whoever has the secret key to one opens it. */
  keys?: string[];
  /** Leave it where backups are kept. */
  keep?: boolean;
}

export interface Backups {
  /** Where they are kept; nowhere without. */
  to?: string;
  /** One is made so often by the leading master; never by itself without. */
  every_s?: number;
  /** So many stay. */
  keep: number;
  backups: Backup[];
  last?: BackupTry;
}

export interface Backup {
  name: string;
  made_at: Time;
  bytes: number;
}

/** The last one that was to be kept, since the answering master leads. */
export interface BackupTry {
  at: Time;
  took_ms: number;
  good: boolean;
  /** Why there is none. */
  error?: string;
}

export interface Level {
  /** What all masters and agents can do; only rises. */
  level: number;
  /** The highest level the answering master can do. */
  known: number;
  /** Masters and nodes that cannot do `known` yet, each with its release. */
  held_back_by: string[];
  masters: {
    id: number;
    release: string;
    level: number;
    /** `host:port` of its front door. */
    router: string;
    /** `host:port` of its peer port. */
    peers: string;
  }[];
}

export interface Error {
  error: {
    /**
     * Stable word for programs. 400: `bad_request`, `not_json`, `body_broken`.
     * 403: `cross_origin`, `forbidden`. 404: `not_found`. 405: `method_not_allowed`.
     * 408: `body_slow`. 409: `conflict`, `locked` (`force` helps), `not_running`.
     * 413: `body_too_large`, `too_large`. 415: `no_content_type`. 422: `invalid` (then `field` is set).
     * 426: `upgrade_required`. 429: `too_many_requests`, `too_much`. 500: `internal`.
     * 502: `agent_unreachable`, `agent_failed`, `backup_place_failed`. 503: `no_leader`, `busy`, `disk_full`,
     * `log_stopped`, `unavailable`, `no_invitation`, `too_much`. 504: `timeout`.
     */
    code: string;
    /** One sentence for a human. */
    message: string;
    /** Path of the offending input, as `cmd` or `a.b[0]`. */
    field?: string;
    /** What to do next. */
    hint?: string;
    /** Same as the header `X-Request-Id`. */
    request_id: string;
  };
}

/** Position in the replicated log this was read at; grows. */
export type Revision = number;

export interface Resources {
  cpus: number;
  mem_mb: number;
  disk_mb: number;
  gpus: number;
}

/** What was measured over time, in `series` of one thing or in `rows` of a list. */
export interface Measured {
  /** As it was asked for. */
  of: string;
  range: '1h' | '24h';
  /** When the first step begins. */
  start: string;
  /** Seconds of a step. */
  step_s: number;
  /**
   * By name. `cpus_used`, `mem_used`, `disk_used`; of services `cpus_reserved` and `mem_limit` of
   * what runs, `running` instances, and where requests come through the front door `requests`,
   * `errors` (answers of 500 and more) and `latency_p50`, `latency_p99` to the head of the answer;
   * `restarts` and `oom_kills`, which are not there before the first. Of the cluster the sums of what
   * its services have, but for `mem_limit`, `oom_kills` and latencies.
   */
  series?: MeasuredSeries[];
  total?: MeasuredTotal;
  /** Of a service, when it became another; the newest last, at most 100. */
  marks?: {
    at: string;
    kind: 'version';
  }[];
  /** Of a list, by id, at most 500. */
  rows?: MeasuredRow[];
  /** There are more; ask for some by `id`. */
  truncated?: boolean;
}

export interface MeasuredSeries {
  name: string;
  unit: 'cpus' | 'MiB' | 'count' | '1/s' | 'ms';
  /**
   * A number for each step, or null where nothing was measured. The mean of the step; of what is
   * counted (`count` of restarts and kills) the sum; of `latency_p99` the greatest.
   */
  values: (number | null)[];
}

/** What the cluster or the node has, or the instance has reserved. */
export interface MeasuredTotal {
  cpus: number;
  mem_mb: number;
  disk_mb: number;
}

export interface MeasuredRow {
  id: string;
  /** Of `cpus_used`, `mem_used` and `requests` those there are. */
  series: {
    name: string;
    unit: 'cpus' | 'MiB' | 'count' | '1/s' | 'ms';
    /** The newest. */
    last?: number;
    /** The greatest of the points. */
    max: number;
    /** Thirty, each the mean of a part of the range in hundredths of `max`, or null. */
    points: (number | null)[];
  }[];
}

export interface Me {
  uid: string;
  description?: string;
  superuser: boolean;
}

export interface Status {
  revision: Revision;
  at: Time;
  cluster_id: string;
  name: string;
  /** Version of tepui on the answering master. */
  version: string;
  /** Absent while there is none. */
  leader?: {
    id: string;
    /** host:port of its admin router. */
    address: string;
    since?: Time;
  };
  started_at: Time;
  /** Of the answering process. */
  uptime_s: number;
  /** The headline, as "node n1 cannot run containers, /web fails its health check". */
  verdict: Verdict;
  /**
   * Nodes and apps that need attention, the worst 20, worst first. Not in the live view, whose rows say it.
   */
  troubles?: {
    kind: 'node' | 'app';
    id: string;
    /** Host name of a node. */
    name: string;
    verdict: Verdict;
  }[];
  counts: {
    nodes: number;
    /** Reachable and taking work. */
    nodes_active: number;
    /** Not heard of, or with a dead container engine. */
    nodes_attention: number;
    apps: number;
    /**
     * Apps that are `engine_down`, `unhealthy`, `crash_looping`, `cannot_start`, `stuck`,
     * `delayed`, `waiting` or `degraded`.
     */
    apps_attention: number;
    /** Instances that have not ended. */
    instances: number;
    instances_running: number;
    /** Running, with health checks that all pass. */
    instances_healthy: number;
    instances_unhealthy: number;
    /** On the way to running. */
    instances_staging: number;
    /** Of the running ones: with a check that is still open. */
    instances_starting: number;
    /** Told to end, and not gone yet. */
    instances_stopping: number;
    deployments: number;
  };
  total: Resources;
  /** Promised to instances. */
  allocated: Resources;
  /** Measured by the agents; absent until the first report. */
  used?: Resources;
  warnings: Warning[];
}

export interface Warning {
  /** As `engine_down`, `node_unreachable`, `no_active_node`, `disk_full`. */
  code: string;
  message: string;
  hint?: string;
  /** The node it is about, whose own verdict says the same. */
  node_id?: string;
  since?: Time;
}

export type Time = string;

/**
 * One word for a row; the first that applies.
 * `deleting`; `stopped` (none wanted, none running); `engine_down` (an instance cannot go on
 * because the container engine of its node does not answer); `unhealthy` (a check fails, or
 * has just ended an instance); `crash_looping` (ended three times or more in a row soon after
 * the start); `cannot_start` (failed as often before its program started, as when its image
 * cannot be fetched); `stuck` (its deployment has not moved for five minutes, or for twice the grace
 * its checks ask for when that is longer); `delayed` (the next start is held back after a
 * failure); `waiting` (instances wanted that fit nowhere);
 * `deploying` (a deployment works on it); `degraded` (fewer running than wanted); `starting`
 * (all run, some not yet known to be well); `running`.
 */
export type AppCondition =
  | 'deleting'
  | 'stopped'
  | 'engine_down'
  | 'unhealthy'
  | 'crash_looping'
  | 'cannot_start'
  | 'stuck'
  | 'delayed'
  | 'waiting'
  | 'deploying'
  | 'degraded'
  | 'starting'
  | 'running';

/**
 * How something is doing, worst first. Of an app see `AppCondition`, of a node `NodeCondition`.
 * An instance `failed`, is `lost` or `gone` (with its node), is `stopping` (told to end, and not
 * gone yet), `finished` (ended by itself, without an error) or `stopped`.
 */
export type Standing =
  | 'engine_down'
  | 'unreachable'
  | 'unhealthy'
  | 'crash_looping'
  | 'cannot_start'
  | 'failed'
  | 'lost'
  | 'stuck'
  | 'delayed'
  | 'waiting'
  | 'degraded'
  | 'deleting'
  | 'stopping'
  | 'draining'
  | 'deploying'
  | 'starting'
  | 'active'
  | 'running'
  | 'drained'
  | 'deactivated'
  | 'finished'
  | 'stopped'
  | 'gone';

/** How a standing is felt; colours follow it. `bad` and `attention` are for somebody to look at. */
export type Tone = 'bad' | 'attention' | 'moving' | 'good' | 'neutral';

/**
 * How an app, an instance, a node, a deployment or the cluster is doing, in words. Whatever shows
 * it says this and nothing else.
 */
export interface Verdict {
  state: Standing;
  tone: Tone;
  /** As "2 of 3 instances fail their health check". */
  sentence: string;
  since?: Time;
  /** What was seen: "HTTP check /healthz on port index 0: 404 Not Found". */
  cause?: string;
  /** What to do: "read its output (tepui log /web), …". */
  next?: string;
}

export interface AppSummary {
  /** Absolute path: `/prod/web`. */
  id: string;
  /** Missing of an app. */
  kind?: 'pod';
  condition: AppCondition;
  verdict: Verdict;
  instances: {
    wanted: number;
    /** Of a stopped app: how many it had before. */
    resume_to?: number;
    running: number;
    healthy: number;
    unhealthy: number;
    /** Scheduled, fetching, pulling or starting. */
    staging: number;
    /** Of the running ones: with a check that is still open. */
    starting: number;
    /** Told to end, and not gone yet. */
    stopping: number;
  };
  has_health_checks: boolean;
  /** Present while instances wait for a place or for the end of a delay. */
  waiting?: {
    /** One sentence. */
    reason: string;
    since: Time;
    delayed_until?: Time;
  };
  /** Ids. */
  deployments: string[];
  /** Per instance. */
  cpus: number;
  mem_mb: number;
  disk_mb: number;
  gpus: number;
  /** Container image. */
  image?: string;
  /** Command, cut to 200 characters. */
  cmd?: string;
  labels: Record<string, string>;
  ports: AppPort[];
  /** Path on this origin when the admin router forwards to the app, as `/service/web/`. */
  service_url?: string;
  version: Time;
  /** Last change of the definition or of any instance. */
  updated_at: Time;
}

export interface Volume {
  /** `<app>#<path>#<uuid>`, of a persistent volume that is there. */
  id?: string;
  app_id: string;
  /** Whose it is; no other instance ever has it. */
  instance_id: string;
  /**
   * Of a persistent volume that is there. Its instance runs; it waits for the volume's node; it was
   * scaled away and is the next to come back; or nobody wants it and its node has not wiped it yet.
   */
  state?: 'in_use' | 'waiting' | 'kept' | 'wiping';
  /** Space of its own on the node, a path of the node, or a volume of a driver. */
  kind: 'persistent' | 'host' | 'external';
  /** In the container. */
  path: string;
  /** The path on the node, or the name its driver has for the volume. */
  source?: string;
  driver?: string;
  /** What is reserved for it, not what is in it. */
  size_mb?: number;
  read_only: boolean;
  /** Missing while the instance waits for a place. */
  node_id?: string;
  host?: string;
  /** What is in it, as measured within the last minute. */
  used_bytes?: number;
  /** How often its instance was launched with it. */
  launches?: number;
  /** Whether the data is removed with the app; tepui removes nothing else. */
  goes_with_app: boolean;
}

export interface Efficiency {
  total: EfficiencyPair;
  services: EfficiencyRow[];
  revision: Revision;
}

/** Of all nodes; of a service what its instances reserve beyond what is suggested. */
export interface EfficiencyPair {
  cpus: number;
  mem_mb: number;
}

export interface EfficiencyRow {
  app_id: string;
  /** As many as are wanted. */
  instances: number;
  /** How long it was measured in the last day. */
  measured_s: number;
  cpus: EfficiencyAdvice;
  mem_mb: EfficiencyAdvice;
  wasted: EfficiencyPair;
  /**
   * Why nothing is suggested: it was measured for less than half a day, its persistent volumes keep its
   * resources as they are, none of it is wanted, or it has several containers.
   */
  held?: 'history' | 'volumes' | 'stopped' | 'containers';
}

/** Of one instance. */
export interface EfficiencyAdvice {
  reserved: number;
  /** In the highest minute of the last day. */
  used_most?: number;
  /** Room above that; missing unless a fifth less than is reserved. */
  suggested?: number;
}

export interface AppPort {
  name?: string;
  /** `tcp`, `udp` or `udp,tcp`. */
  protocol: string;
  container_port?: number;
  /** 0 or absent = chosen per instance. */
  host_port?: number;
  service_port?: number;
  /** Named virtual address, as `web.marathon.l4lb.thisdcos.directory:80`. */
  vip?: string;
}

export interface App extends AppSummary {
  revision: Revision;
  /** The definition as the Marathon dialect shows it. */
  spec: Record<string, unknown>;
  /** Instances that have not ended, then remembered ended ones; newest first. */
  tasks: Instance[];
  dns_names: string[];
  last_failure?: {
    task_id: string;
    instance_id: string;
    condition: InstanceCondition;
    message: string;
    node_id?: string;
    host: string;
    at: Time;
    version: Time;
  };
  deployment_progress: Deployment[];
  /** What each instance keeps on the disk of its node; removed with the app. */
  volumes: {
    path: string;
    /** Of each instance. */
    size_mb: number;
    /** Nodes on which an instance has one. */
    hosts: string[];
  }[];
  /** What a pod is made of; missing of an app. */
  containers?: PodContainer[];
  /** Apps and groups that depend on it. */
  dependants: string[];
}

export interface PlanAnswer {
  /** Why the definition is refused; empty when it is not. */
  problems: Fault[];
  /** Fields that mean nothing, as JSON pointers. They are taken and lost. */
  unknown: string[];
  plan?: Plan;
}

export interface Fault {
  /** JSON pointer to the place; empty for the whole. */
  path: string;
  /** A sentence that names the field. */
  message: string;
}

export interface Plan {
  app_id: string;
  /** `update` changes the definition and no instance. */
  action: 'create' | 'restart' | 'scale' | 'update' | 'none';
  /** What happens to instances, and in which order. */
  sentence: string;
  /** Of what is there now; absent when nothing is. */
  version?: Time;
  /** Fields that differ from what is there now, defaults included. */
  changes: {
    /** JSON pointer. */
    path: string;
    /** As JSON; absent when the field is new. */
    before?: string;
    /** As JSON; absent when the field goes. */
    after?: string;
  }[];
  /** Instances that start. */
  starts: number;
  /** Instances that end. */
  stops: number;
  /** Instances that stay healthy meanwhile. */
  healthy_min: number;
  /** Instances that are there at the same time at most. */
  at_most: number;
  /** Ids of those that end, the first one first; at most 100. */
  stops_first: string[];
  requirement: Resources;
  /** Nodes that would get instances now. */
  places: {
    node_id: string;
    host: string;
    instances: number;
  }[];
  /** Instances that would find no place. */
  waiting: number;
  /** Instances beyond the wanted ones that would fit; at most 1000 are tried. */
  room: number;
  /** Why there is no place for one more than those. */
  limit?: string;
  dns_names: string[];
  ports: AppPort[];
  warnings: {
    code: 'locked' | 'no_place' | 'stuck' | 'gap' | 'no_health_check' | 'image_latest';
    /** JSON pointer to what would help. */
    path?: string;
    message: string;
  }[];
}

/**
 * On the way: `scheduled`, `staging` (fetching, pulling), `starting`. Up: `running`.
 * Going: `killing`. Silent: `unreachable`. Ended: `finished`, `failed`, `killed`, `lost`,
 * `gone`.
 */
export type InstanceCondition =
  | 'scheduled'
  | 'staging'
  | 'starting'
  | 'running'
  | 'killing'
  | 'unreachable'
  | 'finished'
  | 'failed'
  | 'killed'
  | 'lost'
  | 'gone';

export interface Instance {
  /** Instance id. */
  id: string;
  /** Absent until the first launch. */
  task_id?: string;
  app_id: string;
  condition: InstanceCondition;
  verdict: Verdict;
  since: Time;
  launched_at?: Time;
  started_at?: Time;
  version: Time;
  /**
   * It is of an earlier definition than the wanted one; a change of the number of instances makes none so.
   */
  outdated?: boolean;
  node_id?: string;
  /** Host name or address of the node. */
  host?: string;
  /** Host ports. */
  ports: number[];
  ip_addresses: string[];
  /** All checks pass; absent without checks or before the first result. */
  healthy?: boolean;
  /** When the last of its checks passed for the first time; only while all of them pass. */
  healthy_since?: string;
  /**
   * It runs, and a health check has no result yet or a readiness check has not passed; says which.
   */
  pending?: string;
  health: HealthResult[];
  /** What the runtime said last: pull progress, exit reason. */
  message?: string;
  exit_code?: number;
  /** Incarnations before this one. */
  restarts: number;
  cpus: number;
  mem_mb: number;
  disk_mb: number;
  gpus: number;
  used?: {
    cpus: number;
    mem_mb: number;
  };
  /** Of a pod. */
  containers?: Container[];
}

export interface Container {
  name: string;
  /** For logs, files and commands. */
  task_id: string;
  condition: InstanceCondition;
  since: Time;
  /** By its check; absent without one or before its first result. */
  healthy?: boolean;
  /** Once it has ended. */
  exit_code?: number;
  message?: string;
}

export interface PodContainer {
  name: string;
  image?: string;
  /** Command, cut to 200 characters. */
  cmd?: string;
  /** It starts before the others and ends after them. */
  sidecar?: boolean;
  cpus: number;
  mem_mb: number;
  disk_mb: number;
  gpus: number;
}

export interface HealthResult {
  alive: boolean;
  /** HTTP, HTTPS, TCP or COMMAND. */
  protocol?: string;
  consecutive_failures: number;
  last_success_at?: Time;
  last_failure_at?: Time;
  last_failure_cause?: string;
}

export interface Why {
  app_id: string;
  /**
   * The app's condition, but `satisfied` for `running`, `starting` for `deploying`, and
   * `no_report` while instances wait for a place and none has been looked for yet.
   */
  state:
    | 'satisfied'
    | 'no_report'
    | 'deleting'
    | 'stopped'
    | 'engine_down'
    | 'unhealthy'
    | 'crash_looping'
    | 'cannot_start'
    | 'delayed'
    | 'waiting'
    | 'stuck'
    | 'degraded'
    | 'starting';
  /** The whole answer in one sentence, names and cause included. */
  sentence: string;
  verdict: Verdict;
  /** When the attempt was made. */
  at?: Time;
  wanted: number;
  placed: number;
  waiting: number;
  delayed_until?: Time;
  /** What one instance needs. */
  requirement: Resources;
  /** Host ports one instance needs. */
  ports: number;
  /** Nodes the attempt looked at. */
  nodes_total: number;
  /** Nodes left at the end of the funnel. */
  nodes_fitting: number;
  /** In the order the checks are made; each step counts only nodes that passed those before. */
  funnel: {
    reason: Reason;
    in: number;
    removed: number;
    out: number;
    /** As "needs 4 GiB of memory; most free 2.1 GiB on 10.0.0.7". */
    detail?: string;
  }[];
  constraints: {
    field: string;
    /** UNIQUE, CLUSTER, GROUP_BY, LIKE, UNLIKE, MAX_PER, IS. */
    operator: string;
    value?: string;
    /** Nodes that only or also this constraint excludes. */
    removed: number;
    /** Nodes that nothing but this constraint excludes. */
    sole: number;
  }[];
  /** The node that lacks least; absent without nodes. */
  closest?: {
    node_id: string;
    host: string;
    missing: Shortage[];
  };
  /** The smallest change of the definition that would place one more instance. */
  change?: {
    /** As "lower mem from 4096 to 2100 (2 GiB)". */
    sentence: string;
    /** Fields for PATCH /service/marathon/v2/apps/{id}; absent when none would do. */
    patch?: Record<string, unknown>;
  };
  /** Per node what stands in the way, closest first; at most 200. */
  nodes: {
    node_id: string;
    host: string;
    fits: boolean;
    free: Resources;
    failed: Shortage[];
  }[];
}

/** Checks in funnel order. */
export type Reason =
  | 'unreachable'
  | 'role'
  | 'region'
  | 'constraint'
  | 'reservation'
  | 'maintenance'
  | 'cpus'
  | 'mem'
  | 'disk'
  | 'gpus'
  | 'ports'
  | 'scarce';

export interface Shortage {
  reason: Reason;
  needed?: number;
  available?: number;
  /** As "needs 4 cpus, has 2.5 free". */
  message: string;
}

/**
 * `engine_down`: heard of, but its container engine does not answer, so nothing can be started there.
 */
export type NodeCondition =
  | 'active'
  | 'engine_down'
  | 'draining'
  | 'drained'
  | 'deactivated'
  | 'unreachable';

export interface NodeSummary {
  id: string;
  /** Host name or address. */
  host: string;
  /** Where its tasks are reached. */
  address: string;
  roles: ('agent' | 'public_agent')[];
  condition: NodeCondition;
  verdict: Verdict;
  /** Present while the container engine does not answer. */
  engine_away?: {
    since: Time;
    cause: string;
  };
  /** What is set aside for apps that accept a role, by role. */
  reserved?: Record<string, Resources>;
  region?: string;
  zone?: string;
  total: Resources;
  allocated: Resources;
  used?: Resources;
  /** Offered host ports, as `31000-32000`. */
  ports: string;
  attributes: Record<string, string>;
  instances: number;
  /** The release that runs there. */
  version: string;
  /** The highest level it can do, see `/level`. */
  level: number;
  registered_at: Time;
}

export interface Node extends NodeSummary {
  revision: Revision;
  last_seen_at?: Time;
  tasks: Instance[];
  drain?: NodeDrain;
}

/** While the node is draining. */
export interface NodeDrain {
  since: Time;
  until: Time;
  waits: {
    app: string;
    /** How many are still on the node. */
    instances: number;
    reason: string;
  }[];
}

export interface DrainRequest {
  cancel?: boolean;
  /** Seconds after which the drain ends, done or not. */
  deadline_s?: number;
  /** Change nothing, answer what would move. */
  dry_run?: boolean;
}

export interface DrainPreview {
  node_id: string;
  host: string;
  /**
   * As "2 instances have a place elsewhere; 1 instance has none and stays here until something has room".
   */
  sentence: string;
  /** How many have a place elsewhere. */
  moves: number;
  no_place: number;
  instances: {
    id: string;
    task_id?: string;
    /** Empty for what is no app's. */
    app_id: string;
    /**
     * `moves` to another node; `no_place`: it stays until something has room; `stops`: its volumes are
     * here, it stops and starts again when the node takes work; `ends`: on its way out, not replaced;
     * `waited_for`: nobody moves it, the drain waits for its end.
     */
    fate: 'moves' | 'no_place' | 'stops' | 'ends' | 'waited_for';
    to_node_id?: string;
    to_host?: string;
    /** Why nothing has room. */
    because?: string;
    /**
     * Persistent volumes that stay on the node: of what `moves`, the replacement begins without their data.
     */
    leaves_volumes?: string[];
  }[];
}

export interface Moves {
  node: NodeSummary;
  /** Ids of the instances that leave the node. */
  instances: string[];
}

export interface Deployment {
  id: string;
  /** What it does and how far it is; `cause` and `next` are those of the worst app it works on. */
  verdict: Verdict;
  version: Time;
  app_ids: string[];
  /** Number of the current step; the first is 1. */
  step: number;
  steps: number;
  /** Apps that were not there before: taking the deployment back removes them. */
  creates: string[];
  started_at: Time;
  by?: HistoryBy;
  /** Of the current step. */
  actions: DeploymentAction[];
}

export interface DeploymentAction {
  app_id: string;
  action: 'start' | 'stop' | 'scale' | 'restart';
  /** What changes: "image web:1 → web:2, 2 → 5 instances". */
  what?: string;
  /** Instances that reached the goal of this action. */
  done: number;
  of: number;
  /** Why it does not advance; absent when it does. */
  blocked?: string;
}

export interface HistoryBounds {
  /** The cursor where older ones go on; absent where there are none. */
  next?: string;
  since?: Time;
  /** The beginning was dropped for want of room, nothing is known of before `since`. */
  dropped: boolean;
}

export interface History extends HistoryBounds {
  revision: Revision;
  records: HistoryRecord[];
}

export interface HistoryRecord {
  /** Its place, newer ones are greater by revision and number. */
  cursor: string;
  at: Time;
  kind: 'change' | 'deployment' | 'attempt' | 'kill' | 'health' | 'node' | 'access' | 'cluster';
  /** What it happened to, a service, a group, a node, a user; absent for the cluster. */
  of?: string;
  /** What happened, without its subject: `scaled from 2 to 5`. */
  text: string;
  by?: HistoryBy;
  /** Why it was not done; absent where it was. */
  refused?: string;
  /** Bad news. */
  bad: boolean;
  version?: Time;
  deployment_id?: string;
  /** How long what ended took. */
  took_ms?: number;
  /** The same for people. */
  took?: string;
  instance_id?: string;
  attempt?: Attempt;
}

/** On whose word; absent for what the cluster did by itself. */
export interface HistoryBy {
  uid: string;
  way: 'page' | 'cli' | 'api' | 'marathon' | 'mesos' | 'dcos';
  /** The address the request came from. */
  peer?: string;
}

export interface Attempts extends HistoryBounds {
  attempts: Attempt[];
}

export interface Attempt {
  /** Counts the attempts of the instance from 1. */
  number: number;
  instance_id: string;
  /** By this its files and its output are read. */
  task_id: string;
  node_id: string;
  host: string;
  version: Time;
  placed_at: Time;
  started_at?: Time;
  ended_at: Time;
  ran_ms: number;
  end: 'finished' | 'failed' | 'killed' | 'lost' | 'gone' | 'unreachable';
  exit_code?: number;
  /** What its end means: `exit 137 = killed: the limit of 32 MB was reached`. */
  exit: string;
  bad: boolean;
  /** The last lines it wrote. */
  tail?: string;
}

export interface Versions {
  versions: Version[];
  diff?: VersionDiff;
}

export interface Version {
  version: Time;
  active: boolean;
  /** How many it wants. */
  instances: number;
  /**
   * How many instances of it there are; where versions differ by their number of instances only, all count for the newest.
   */
  running: number;
  /** What differs from the version before: `image 1.4 → 1.5, +1 variable`. */
  summary: string;
  /** What the history says of its making. */
  text?: string;
  by?: HistoryBy;
  deployment_id?: string;
  outcome: 'live' | 'deploying' | 'ended_early' | 'unknown';
  outcome_text: string;
  took_ms?: number;
}

export interface VersionDiff {
  from: Time;
  to: Time;
  summary: string;
  fields: FieldDiff[];
}

/** One field of the definition; texts stand as they are, all else as JSON. */
export interface FieldDiff {
  /** A JSON pointer into the definition. */
  path: string;
  /** Absent where it was not set. */
  old?: string;
  /** Absent where it is not set. */
  new?: string;
}

export interface RollbackRequest {
  to: Time;
  dry_run?: boolean;
  /** End a deployment that works on the app. */
  force?: boolean;
  /** As many instances as now, not as many as then. */
  keep_instances?: boolean;
}

export interface Rollback extends VersionDiff {
  /** What it does in sentences. */
  effect: string[];
  /** Nothing was done. */
  dry_run: boolean;
  deployment_id?: string;
  version?: Time;
}

export interface Master {
  id: number;
  /** Whom its certificate names; its own agent has the same id. */
  node?: string;
  release: string;
  /** The highest level it can do. */
  level: number;
  /** `host:port` of its front door. */
  router: string;
  /** `host:port` of its peer port. */
  peers: string;
  /**
   * One leads; with it 1, 3 or 5 decide. The others follow and stand by; one that has just
   * joined is outside until the leader has seen it.
   */
  part: 'leads' | 'decides' | 'follows' | 'outside';
  /** Entries of the log it lacks, where the leading master answers. */
  behind?: number;
  /**
   * Milliseconds since it last answered the master that answers here; missing for that one. One
   * that the leader has not heard for a minute gives its part to one that follows.
   */
  silent_ms?: number;
  /** Whether it is to follow only (`POST /masters/{id}/part`). */
  stands_by: boolean;
}

export interface Reconciler {
  name: string;
  /** Activations since the process started. */
  runs: number;
  last_run_at?: Time;
  last_run_ms: number;
  /** Commands proposed by the latest one. */
  proposed: number;
  /** Why some of them did not take effect. */
  refused?: string;
  /** What there was to look at, in numbers. */
  looks_at: string;
  /** What could not be done yet; the first hundred. */
  waits: {
    /** As `deployment d1` or `node 10.0.0.7`. */
    about: string;
    because: string;
  }[];
  /** How many there are in all. */
  waits_total: number;
}

export interface FileEntry {
  name: string;
  /** Relative to the sandbox. */
  path: string;
  directory: boolean;
  size_bytes: number;
  /** As `-rw-r--r--`. */
  mode: string;
  uid: string;
  gid: string;
  modified_at: Time;
}

export interface FileSearch {
  hits: FileHit[];
  /** Where the search goes on. */
  offset: number;
  /** The number of the line there. */
  line: number;
  /** Of the file, at present. */
  size_bytes: number;
}

export interface FileHit {
  /** The number of the line, from 1. */
  line: number;
  /** Of the first match in it, in the file. */
  offset: number;
  /** Of the match. */
  n_bytes: number;
  /** The line; of one of more than 400 bytes what is around the match. */
  text: string;
  /** The line is longer than `text`. */
  cut?: boolean;
}

export interface LogChunk {
  /** Of the first byte in `data`. */
  offset: number;
  next_offset: number;
  /**
   * The bytes as text; chunks end at a UTF-8 boundary, broken bytes become U+FFFD. Offsets
   * count the original bytes, so they may differ from the length of `data`.
   */
  data: string;
  /** Without `follow`, no byte after this one at the moment. */
  eof?: boolean;
}

/** `before` is absent when nothing is older, `after` unless it was asked for and there is more. */
export interface Logs {
  lines: LogLine[];
  before?: Time;
  after?: Time;
  searched_bytes: number;
  streams: LogStream[];
  histogram?: LogHistogram;
}

export interface LogLine {
  at?: Time;
  task: string;
  stream: 'stdout' | 'stderr';
  /** Where it stands in its file. */
  offset: number;
  /** Its end was not written yet. */
  partial?: boolean;
  /** It is longer than `text`. */
  cut?: boolean;
  /** Without its line break; at most 64 KiB. */
  text: string;
}

export interface LogStream {
  task: string;
  host: string;
  stream: 'stdout' | 'stderr';
  /** Where the file goes on after this answer. */
  next_offset: number;
  /**
   * Why not all of it was looked at; `behind` of a followed one that wrote faster than it was read, of which a part was left out.
   */
  cut?: 'lines' | 'bytes' | 'time' | 'behind' | 'not_kept' | 'unreachable';
}

/** How many of these lines fall into each part of their time. */
export interface LogHistogram {
  from: Time;
  step_ms: number;
  stdout: number[];
  stderr: number[];
}

export interface ExecRequest {
  cmd: string[];
  tty?: boolean;
  /** Whether the command gets a standard input. */
  stdin?: boolean;
  /** Size of the terminal at the start (`tty` only). */
  rows?: number;
  cols?: number;
}

export interface LiveSnapshot {
  revision: Revision;
  at: Time;
  status: Status;
  apps: AppSummary[];
  nodes: NodeSummary[];
  deployments: Deployment[];
}

/** Only what changed; absent parts did not. */
export interface LiveDelta {
  revision: Revision;
  at: Time;
  status?: Status;
  apps?: {
    set: AppSummary[];
    removed: string[];
  };
  nodes?: {
    set: NodeSummary[];
    removed: string[];
  };
  deployments?: {
    set: Deployment[];
    removed: string[];
  };
}

/** An instance that has a place and has not ended. */
export interface PlacedInstance {
  id: string;
  /** Empty for what is no app's. */
  app_id: string;
  node_id: string;
  state: Standing;
  cpus: number;
  mem_mb: number;
  disk_mb: number;
  /** As measured, to a tenth of what is reserved; told again when it has left its tenth. */
  used?: {
    cpus: number;
    mem_mb: number;
  };
}

export interface PlacedSnapshot {
  revision: Revision;
  at: Time;
  instances: PlacedInstance[];
}

export interface PlacedDelta {
  revision: Revision;
  at: Time;
  instances: {
    set: PlacedInstance[];
    removed: string[];
  };
}

/** Instances that are others, and how far the draining is. */
export interface NodeDelta {
  revision: Revision;
  at: Time;
  /** Absent when all are as before. Rows without `used`, which is told apart. */
  tasks?: {
    set: Instance[];
    removed: string[];
  };
  drain?: NodeDrain;
}

export interface NodeMeasured {
  at: Time;
  last_seen_at?: Time;
  /** By instance, those that use something else than was told. */
  used: Record<string, {
    cpus: number;
    mem_mb: number;
  }>;
}
