import { describe, expect, it } from 'vitest';
import { jsonContext, yamlContext } from './context';
import { draftOfYaml, moved } from './draft';
import { type Schema, schemaAt, strangers, withoutDefaults } from './schema';
import '../words/late';

const YAML = 'id: /a # its name\nmem: 64\nflavour: 1 # unknown\n';

describe('a draft', () => {
  it('is the same in all three views, and keeps what is unknown', () => {
    const first = draftOfYaml(YAML);
    expect(JSON.parse(first.json)).toEqual({ id: '/a', mem: 64, flavour: 1 });
    const form = moved(first, { is: 'field', way: ['mem'], value: 128 });
    expect(form.yaml).toBe('id: /a # its name\nmem: 128\nflavour: 1 # unknown\n');
    const json = moved(form, { is: 'text', view: 'json', text: form.json.replace('128', '256') });
    expect(json.yaml).toBe('id: /a # its name\nmem: 256\nflavour: 1 # unknown\n');
    expect(json.value).toEqual({ id: '/a', mem: 256, flavour: 1 });
  });

  it('keeps a text that cannot be read, and beside it what was read last', () => {
    const first = draftOfYaml(YAML);
    const broken = moved(first, { is: 'text', view: 'yaml', text: `${YAML}\tx: 1\n` });
    expect(broken.yaml).toContain('\tx');
    expect(broken.fault?.fault.line).toBe(4);
    expect(broken.value).toEqual(first.value);
    expect(moved(broken, { is: 'text', view: 'yaml', text: YAML }).fault).toBeUndefined();
  });

  it('drops a container that holds nothing but its type', () => {
    const first = draftOfYaml('id: /a\ncontainer:\n  type: DOCKER\n  docker:\n    image: x\n');
    const without = moved(first, { is: 'field', way: ['container', 'docker', 'image'], value: undefined });
    expect(without.value).toEqual({ id: '/a' });
  });
});

const SCHEMA: Schema = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    mem: { type: 'number', default: 128, 'x-unit': 'MiB' },
    labels: { type: 'object', additionalProperties: { type: 'string' } },
    upgradeStrategy: { type: 'object', properties: { minimumHealthCapacity: { type: 'number', default: 1 } } },
    healthChecks: {
      type: 'array',
      items: { type: 'object', properties: { path: { type: 'string' }, portIndex: { type: 'integer', default: 0 } } },
    },
  },
};

describe('the schema', () => {
  it('finds what nobody reads', () => {
    const value = { id: '/a', flavour: 1, labels: { any: 'x' }, healthChecks: [{ path: '/', pth: 1 }] };
    expect(strangers(value, SCHEMA)).toEqual(['/flavour', '/healthChecks/0/pth']);
  });
  it('leaves out what would be so anyway, and nothing that means something', () => {
    const shown = {
      id: '/a', mem: 128, labels: {}, version: 'x', healthChecks: [{ path: '/', portIndex: 0 }],
      upgradeStrategy: { minimumHealthCapacity: 1, maximumOverCapacity: 1 },
    };
    expect(withoutDefaults(shown, SCHEMA)).toEqual({ id: '/a', healthChecks: [{ path: '/' }] });
    const resident = { ...shown, container: { volumes: [{ persistent: { size: 1 } }] } };
    expect(withoutDefaults(resident, SCHEMA)).toHaveProperty('upgradeStrategy');
  });
});

describe('the cursor', () => {
  const at = (read: typeof yamlContext, text: string) => read(text.replace('|', ''), text.indexOf('|'));
  it('is known in half-written YAML', () => {
    for (const [text, way, kind] of [
      ['id: /a\nhe|', [], 'key'],
      ['container:\n  docker:\n    im|', ['container', 'docker'], 'key'],
      ['healthChecks:\n  - protocol: |', ['healthChecks', 0, 'protocol'], 'value'],
      ['healthChecks:\n- path: /\n  pro|', ['healthChecks', 0], 'key'],
      ['healthChecks:\n  - path: /\n    command:\n      va|', ['healthChecks', 0, 'command'], 'key'],
      ['a:\n  b: 1\ncpus: |', ['cpus'], 'value'],
    ] as const) {
      expect(at(yamlContext, text), text).toMatchObject({ way, kind });
    }
    expect(at(yamlContext, 'id: /a # com|')).toBeUndefined();
  });
  it('is known in half-written JSON', () => {
    for (const [text, way, kind] of [
      ['{"id": "/a", "he|', [], 'key'],
      ['{"container": {"docker": {"|', ['container', 'docker'], 'key'],
      ['{"healthChecks": [{"path": "/"}, {"protocol": "|', ['healthChecks', 1, 'protocol'], 'value'],
      ['{"a": {"b": 1}, "tty": t|', ['tty'], 'value'],
    ] as const) {
      expect(at(jsonContext, text), text).toMatchObject({ way, kind });
    }
  });
  it('finds the place in the schema', () => {
    expect(schemaAt(SCHEMA, ['healthChecks', 3, 'path'])?.type).toBe('string');
    expect(schemaAt(SCHEMA, ['labels', 'x'])?.type).toBe('string');
    expect(schemaAt(SCHEMA, ['nothing'])).toBeUndefined();
  });
});
