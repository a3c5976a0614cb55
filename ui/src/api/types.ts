// The shapes of /tepui/v1 that the page reads; docs/api/openapi.yaml is their definition.

export interface Resources {
  cpus: number;
  mem_mb: number;
  disk_mb: number;
  gpus: number;
}

export interface Me {
  uid: string;
  description?: string;
  superuser: boolean;
}

export interface Warning {
  code: string;
  message: string;
  hint?: string;
  since?: string;
}

export interface Status {
  cluster_id: string;
  name: string;
  version: string;
  leader?: { id: string; address: string; since?: string };
  started_at: string;
  uptime_s: number;
  counts: {
    nodes: number;
    nodes_active: number;
    apps: number;
    apps_attention: number;
    instances: number;
    instances_running: number;
    instances_healthy: number;
    instances_unhealthy: number;
    instances_staging: number;
    deployments: number;
  };
  total: Resources;
  allocated: Resources;
  used?: Resources;
  warnings: Warning[];
  revision: number;
  at: string;
}

export type AppCondition =
  | 'deleting'
  | 'engine_down'
  | 'unhealthy'
  | 'crash_looping'
  | 'stuck'
  | 'delayed'
  | 'waiting'
  | 'deploying'
  | 'starting'
  | 'degraded'
  | 'stopped'
  | 'running';

/** How an app is doing, in words; `why`, lists and deployments say the same. */
export interface Verdict {
  state: AppCondition;
  sentence: string;
  since?: string;
  cause?: string;
  next?: string;
}

export interface AppPort {
  name?: string;
  protocol: string;
  container_port?: number;
  host_port?: number;
  service_port?: number;
  vip?: string;
}

export interface AppSummary extends Resources {
  id: string;
  condition: AppCondition;
  verdict?: Verdict;
  instances: {
    wanted: number;
    /** Of a stopped app: how many it had. */
    resume_to?: number;
    running: number;
    healthy: number;
    unhealthy: number;
    staging: number;
  };
  has_health_checks?: boolean;
  waiting?: { reason: string; since: string; delayed_until?: string };
  deployments: string[];
  image?: string;
  cmd?: string;
  labels: Record<string, string>;
  ports: AppPort[];
  service_url?: string;
  version: string;
  updated_at: string;
}

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

export interface HealthResult {
  alive: boolean;
  protocol?: string;
  consecutive_failures: number;
  last_success_at?: string;
  last_failure_at?: string;
  last_failure_cause?: string;
}

export interface Instance extends Resources {
  id: string;
  task_id?: string;
  app_id: string;
  condition: InstanceCondition;
  since: string;
  started_at?: string;
  version?: string;
  node_id?: string;
  host?: string;
  ports: number[];
  ip_addresses: string[];
  healthy?: boolean;
  /** Runs, and a check has no result yet or has not passed. */
  pending?: string;
  health: HealthResult[];
  message?: string;
  exit_code?: number;
  restarts?: number;
  used?: { cpus?: number; mem_mb?: number };
}

export interface DeploymentAction {
  app_id: string;
  action: 'start' | 'stop' | 'scale' | 'restart' | 'resolve';
  done?: number;
  of?: number;
  blocked?: string;
}

export interface Deployment {
  id: string;
  version: string;
  app_ids: string[];
  step: number;
  steps: number;
  /** Apps that were not there before: taking the deployment back removes them. */
  creates?: string[];
  started_at: string;
  actions: DeploymentAction[];
}

export interface App extends AppSummary {
  revision: number;
  spec: Record<string, unknown>;
  tasks: Instance[];
  dns_names?: string[];
  last_failure?: {
    task_id: string;
    instance_id?: string;
    condition: InstanceCondition;
    message: string;
    exit_code?: number;
    node_id?: string;
    host?: string;
    at: string;
    version?: string;
  };
  deployment_progress: Deployment[];
}

export interface Shortage {
  reason: string;
  needed?: number;
  available?: number;
  message: string;
}

export interface Why {
  app_id: string;
  state: 'satisfied' | 'no_report' | Exclude<AppCondition, 'running' | 'deploying'>;
  sentence: string;
  verdict?: Verdict;
  at?: string;
  wanted: number;
  placed: number;
  waiting: number;
  delayed_until?: string;
  requirement?: Resources;
  ports?: number;
  nodes_total: number;
  nodes_fitting?: number;
  funnel: { reason: string; in: number; removed: number; out: number; detail?: string }[];
  constraints: {
    field: string;
    operator: string;
    value?: string;
    removed: number;
    sole?: number;
  }[];
  closest?: { node_id: string; host: string; missing: Shortage[] };
  change?: { sentence: string; patch?: Record<string, unknown> };
  nodes: {
    node_id: string;
    host: string;
    fits: boolean;
    free?: Resources;
    failed: Shortage[];
  }[];
}

export type NodeCondition =
  | 'active'
  | 'engine_down'
  | 'draining'
  | 'drained'
  | 'deactivated'
  | 'unreachable'
  | 'lost';

export interface NodeSummary {
  id: string;
  host: string;
  roles: string[];
  condition: NodeCondition;
  region?: string;
  zone?: string;
  total: Resources;
  allocated: Resources;
  used?: Resources;
  ports?: string;
  /** What is set aside for apps that accept the role. */
  reserved?: Record<string, Resources>;
  engine_away?: { since: string; cause: string };
  attributes: Record<string, string>;
  instances: number;
  version?: string;
  registered_at?: string;
  /** Only where one node is asked for. */
  last_seen_at?: string;
}

export interface Node extends NodeSummary {
  revision: number;
  tasks: Instance[];
}

export interface LogChunk {
  offset: number;
  next_offset: number;
  data: string;
  eof?: boolean;
}

export interface LiveSnapshot {
  revision: number;
  at: string;
  status: Status;
  apps: AppSummary[];
  nodes: NodeSummary[];
  deployments: Deployment[];
}

interface Rows<T> {
  set?: T[];
  removed?: string[];
}

export interface LiveDelta {
  revision: number;
  at: string;
  status?: Status;
  apps?: Rows<AppSummary>;
  nodes?: Rows<NodeSummary>;
  deployments?: Rows<Deployment>;
}
