// Where a new service can start from.

export interface Sample {
  id: string;
  name: string;
  about: string;
  yaml: string;
}

export const SAMPLES: Sample[] = [
  {
    id: 'web',
    name: 'Web service',
    about: 'An image with a port and a health check, twice.',
    yaml: `id: /web
instances: 2
cpus: 0.25
mem: 128
container:
  type: DOCKER
  docker:
    image: nginx:1.27
  portMappings:
    - name: http
      containerPort: 80
      hostPort: 0 # any free port of the node
networks:
  - mode: container/bridge
healthChecks:
  - protocol: HTTP
    path: /
    gracePeriodSeconds: 30
    intervalSeconds: 10
`,
  },
  {
    id: 'worker',
    name: 'Worker',
    about: 'A command without ports, restarted when it ends.',
    yaml: `id: /worker
instances: 1
cpus: 0.1
mem: 64
cmd: while true; do date; sleep 5; done
portDefinitions: [] # it listens nowhere
`,
  },
  {
    id: 'database',
    name: 'Database with a volume',
    about: 'One instance whose data outlives it, on the node where it began.',
    yaml: `id: /database
instances: 1
cpus: 0.5
mem: 512
container:
  type: DOCKER
  docker:
    image: postgres:17
  volumes:
    - containerPath: pgdata # below the working directory
      mode: RW
      persistent:
        size: 1024 # MiB
  portMappings:
    - name: postgres
      containerPort: 5432
      hostPort: 0
networks:
  - mode: container/bridge
env:
  PGDATA: /mnt/mesos/sandbox/pgdata/data
  POSTGRES_PASSWORD: change-me
healthChecks:
  - protocol: TCP
    gracePeriodSeconds: 60
# One at a time: two databases on the same data would be one too many.
upgradeStrategy:
  minimumHealthCapacity: 0
  maximumOverCapacity: 0
`,
  },
];

export const BLANK = `id: /hello
instances: 1
cpus: 0.1
mem: 32
cmd: while true; do date; sleep 1; done
`;
