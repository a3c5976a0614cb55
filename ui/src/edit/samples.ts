// Where a new service can start from.
import { say } from '../words';

export interface Sample {
  id: string;
  name: string;
  about: string;
  yaml: string;
}

/** In the reader's language, the remarks in them too. */
export const samples = (): Sample[] => [
  {
    id: 'web',
    name: say('start.web'),
    about: say('start.webAbout'),
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
      hostPort: 0 # ${say('sample.anyPort')}
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
    name: say('start.worker'),
    about: say('start.workerAbout'),
    yaml: `id: /worker
instances: 1
cpus: 0.1
mem: 64
cmd: while true; do date; sleep 5; done
portDefinitions: [] # ${say('sample.noPorts')}
`,
  },
  {
    id: 'database',
    name: say('start.database'),
    about: say('start.databaseAbout'),
    yaml: `id: /database
instances: 1
cpus: 0.5
mem: 512
container:
  type: DOCKER
  docker:
    image: postgres:17
  volumes:
    - containerPath: pgdata # ${say('sample.below')}
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
# ${say('sample.oneAtATime')}
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
