import { describe, expect, it } from 'vitest';
import { mebibytes, readCompose, seconds, split } from './compose';
import '../words/late';

const FILE = `# a shop
version: "3.9"
x-common: &common
  environment:
    LEVEL: info
services:
  web:
    <<: *common
    image: nginx:1.27
    command: ["nginx", "-g", "daemon off;"]
    ports:
      - "8080:80"
      - target: 9090
        protocol: udp
    volumes:
      - ./site:/usr/share/nginx/html:ro
      - /etc/ssl:/etc/ssl:ro
    depends_on: [db]
    deploy:
      replicas: 3
      resources:
        reservations: { cpus: '0.25', memory: 64M }
        limits: { memory: 128M }
      placement:
        constraints: [node.role == worker]
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost/a b"]
      interval: 1m30s
      retries: 4
      start_period: 20s
    networks: [front]
  db:
    image: postgres:17
    environment:
      - POSTGRES_PASSWORD=x=y
      - FROM_HOST
    volumes:
      - data:/var/lib/postgresql/data
  app_builder:
    build: .
volumes:
  data:
`;

describe('a Compose file', () => {
  const { services, remarks, error } = readCompose(FILE);
  const of = (name: string) => {
    const found = services.find((it) => it.name === name);
    if (!found) throw new Error(name);
    return found;
  };

  it('becomes one definition a service', () => {
    expect(error).toBeUndefined();
    expect(services.map((it) => it.definition.id)).toEqual(['/web', '/db', '/app-builder']);
    expect(of('web').definition).toEqual({
      id: '/web',
      instances: 3,
      cpus: 0.25,
      mem: 64,
      resourceLimits: { mem: 128 },
      args: ['nginx', '-g', 'daemon off;'],
      container: {
        type: 'DOCKER',
        docker: { image: 'nginx:1.27' },
        volumes: [{ containerPath: '/etc/ssl', hostPath: '/etc/ssl', mode: 'RO' }],
        portMappings: [
          { containerPort: 80, hostPort: 0 },
          { containerPort: 9090, hostPort: 0, protocol: 'udp' },
        ],
      },
      networks: [{ mode: 'container/bridge' }],
      env: { LEVEL: 'info' },
      healthChecks: [
        {
          protocol: 'COMMAND',
          command: { value: "curl -f 'http://localhost/a b'" },
          intervalSeconds: 90,
          timeoutSeconds: 30,
          gracePeriodSeconds: 20,
          maxConsecutiveFailures: 4,
        },
      ],
      dependencies: ['/db'],
    });
    expect(of('db').definition.env).toEqual({ POSTGRES_PASSWORD: 'x=y', FROM_HOST: '' });
  });

  it('says line by line what it cannot carry over', () => {
    const lines = FILE.split('\n');
    const said = (name: string) => of(name).remarks.map(({ line, text }) => [lines[line - 1]?.trim(), text] as const);
    const find = (name: string, part: string) => said(name).find(([, text]) => text.includes(part))?.[0];
    expect(find('web', './site')).toBe('- ./site:/usr/share/nginx/html:ro');
    expect(find('web', '8080')).toBe('- "8080:80"');
    expect(find('web', 'networks')).toBe('networks: [front]');
    expect(find('web', 'deploy.placement')).toBe('deploy:');
    expect(find('db', 'FROM_HOST')).toBe('- FROM_HOST');
    expect(find('db', 'persistent volume data')).toBe('- data:/var/lib/postgresql/data');
    expect(find('app_builder', 'build')).toBe('build: .');
    expect(said('app_builder').some(([, text]) => text.includes('no image'))).toBe(true);
    expect(remarks.map(({ line }) => lines[line - 1])).toEqual(['volumes:']);
  });

  it('is told from what is none', () => {
    expect(readCompose('a: b').error?.text).toContain('services');
    expect(readCompose('services:\n  a: [').error?.line).toBeGreaterThan(0);
  });
});

describe('its words', () => {
  it('are quantities', () => {
    expect(['512M', '1.5g', '64mb', '1048576', 'x'].map(mebibytes)).toEqual([512, 1536, 64, 1, undefined]);
    expect(['1m30s', '500ms', '2h', 10].map(seconds)).toEqual([90, 1, 7200, 10]);
    expect(split(`sh -c "echo 'a b'" 'c d'e`)).toEqual(['sh', '-c', "echo 'a b'", 'c de']);
  });
});
