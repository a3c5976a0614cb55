import { describe, expect, it } from 'vitest';
import {
  compareSides,
  differences,
  type Fields,
  fromValue,
  type Json,
  locate,
  pointerOf,
  readJson,
  readYaml,
  takeOver,
  valueAt,
  type Way,
  wayAt,
  withValue,
  withWhole,
  writeJson,
  writeYaml,
} from './document';
import { samples } from './samples';
import '../words/late';

function doc(text: string) {
  const read = readYaml(text);
  if (read.fault) throw new Error(read.fault.message);
  return read;
}

/** The same numbers in every run. */
function random(seed: number) {
  let state = seed;
  return (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

const TEXTS = ['a', '', '0', 'true', 'null', '1.5', '# no comment', 'a: b', 'two\nlines\n', ' blank ', '- x', '{', 'ü', '"', "it's"];

function anything(pick: (n: number) => number, depth: number): Json {
  switch (pick(depth > 0 ? 7 : 4)) {
    case 0:
      return pick(2) === 0;
    case 1:
      return pick(1000) - 500;
    case 2:
      return pick(1000) / 7;
    case 3:
      return TEXTS[pick(TEXTS.length)] ?? '';
    case 4:
    case 5:
      return Array.from({ length: pick(4) }, () => anything(pick, depth - 1));
    default:
      return fields(pick, depth - 1);
  }
}

function fields(pick: (n: number) => number, depth: number): Fields {
  const names = Array.from({ length: pick(5) }, () => ['a', 'b', 'c/d', 'e~f', 'no', '1', 'g h'][pick(7)] ?? 'a');
  return Object.fromEntries(names.map((name) => [name, anything(pick, depth)]));
}

/** The way to some value. */
function someWay(value: Json, pick: (n: number) => number): Way {
  const way: Way = [];
  let at: Json = value;
  while (typeof at === 'object' && at !== null && pick(4) > 0) {
    const keys = Array.isArray(at) ? at.map((_, n) => n) : Object.keys(at);
    const key = keys[pick(keys.length)];
    if (key === undefined) break;
    way.push(key);
    at = (at as Fields)[key] as Json;
  }
  return way;
}

describe('one document in two spellings', () => {
  it('says the same in YAML and in JSON, whatever it says', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const value = fields(random(seed), 4);
      const yaml = writeYaml(fromValue(value));
      expect(doc(yaml).value, `seed ${seed}`).toEqual(value);
      const json = readJson(writeJson(value));
      expect(json.fault ? json.fault : json.value, `seed ${seed}`).toEqual(value);
    }
  });

  it('becomes any other value, and keeps what is the same', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const pick = random(seed);
      const [old, next] = [fields(pick, 3), fields(pick, 3)];
      const there = withWhole(fromValue(old), next);
      expect(doc(writeYaml(there)).value, `seed ${seed}`).toEqual(next);
    }
  });

  it('keeps every comment, and its order, when a field is changed', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const pick = random(seed);
      const value = { first: 1, ...fields(pick, 3), last: { deep: [1, 'x', { y: 2 }] } };
      // A comment above each line of its own, and one behind each plain value.
      let n = 0;
      const plain = writeYaml(fromValue(value)).split('\n');
      const lines = plain.flatMap((line) => (/^\w+:/.test(line) ? [`# c${n++}.`, line] : [line]));
      const text = lines.join('\n').replace(/^first: 1$/m, 'first: 1 # behind.');
      const { doc: made } = doc(text);
      const way = someWay(value, pick);
      const changed = way.length > 0 && way[0] !== 'first' ? way : ['last', 'deep', 2, 'y'];
      const next = withValue(made, changed, 4711);
      const written = writeYaml(next);
      expect(valueAt(doc(written).value, changed), `seed ${seed}`).toBe(4711);
      for (let at = 0; at < n; at++) expect(written, `seed ${seed}`).toContain(`# c${at}.`);
      expect(written, `seed ${seed}`).toContain('first: 1 # behind.');
      expect(Object.keys(doc(written).value), `seed ${seed}`).toEqual(Object.keys(value));
    }
  });

  it('loses no comment of the samples, whichever field the form writes', () => {
    for (const { yaml } of samples()) {
      const comments = yaml.match(/#.*$/gm) ?? [];
      const read = doc(yaml);
      for (const [way, value] of [
        [['instances'], 7],
        [['container', 'docker', 'image'], 'other:1'],
        [['env', 'NEW'], 'x'],
        [['healthChecks', 0, 'intervalSeconds'], 5],
        [['labels'], { a: 'b' }],
      ] as [Way, Json][]) {
        const written = writeYaml(withValue(read.doc, way, value));
        for (const comment of comments) expect(written).toContain(comment);
        expect(valueAt(doc(written).value, way)).toEqual(value);
      }
    }
  });

  it('takes out what is emptied, with what is empty then', () => {
    const read = doc('id: /a\ncontainer:\n  docker:\n    image: x\n');
    expect(doc(writeYaml(withValue(read.doc, ['container', 'docker', 'image'], undefined))).value).toEqual({ id: '/a' });
  });

  it('keeps the comment on an element that moves up in its list', () => {
    const read = doc('l:\n  - a: 1 # one\n  - a: 2 # two\n');
    expect(writeYaml(withValue(read.doc, ['l'], [{ a: 2 }]))).toBe('l:\n  - a: 2 # two\n');
  });

  it('takes JSON with comments and a comma too many, and brings the comments along', () => {
    const read = readJson('{\n  // the service\n  "id": "/a", /* why */\n  "cmd": "curl http://x//y",\n}\n');
    if (read.fault) throw new Error(read.fault.message);
    expect(read.value).toEqual({ id: '/a', cmd: 'curl http://x//y' });
    const yaml = writeYaml(read.doc);
    expect(yaml).toContain('the service');
    expect(yaml).toContain('why');
    expect(yaml).toContain('cmd: curl http://x//y');
  });
});

describe('faults', () => {
  it('are sentences at their line', () => {
    for (const [text, line, message] of [
      ['id: /a\n\tcmd: x\n', 2, 'tab'],
      ['id: /a\nid: /b\n', 2, 'twice'],
      ['id: "/a\ncmd: x\n', 1, 'quote'],
      ['id: /a\nmem\n', 2, 'colon'],
      ['a:\n  b: 1\n c: 2\n', 3, 'indented'],
      ['- a\n', 1, 'object with fields'],
      ['just words\n', 1, 'object with fields'],
    ] as const) {
      const { fault } = readYaml(text);
      expect(fault?.message, text).toContain(message);
      if (message !== 'quote') expect(fault?.line, text).toBe(line);
    }
    expect(readJson('{"id": }x').fault).toBeDefined();
    expect(readJson('id: /a\n').fault?.message).toContain('JSON begins');
  });
});

describe('places', () => {
  const text = 'id: /a # name\nhealthChecks:\n  - protocol: HTTP\n    path: /x\nlabels:\n  a/b: c\n';
  it('lead from a pointer to the text', () => {
    const at = (pointer: string, key = false) => {
      const range = locate(text, pointer, key);
      return range && text.slice(range.from, range.to);
    };
    expect(at('/id')).toBe('/a');
    expect(at('/healthChecks/0/path')).toBe('/x');
    expect(at('/healthChecks/0/path', true)).toBe('path');
    expect(at('/labels/a~1b')).toBe('c');
    expect(at('/healthChecks/0/nothing')).toContain('protocol');
    expect(at('/nothing')).toBeUndefined();
    const json = writeJson(doc(text).value);
    const range = locate(json, '/healthChecks/0/protocol');
    expect(range && json.slice(range.from, range.to)).toBe('"HTTP"');
  });
  it('lead from the text to a pointer', () => {
    const at = (part: string) => pointerOf(wayAt(text, text.indexOf(part) + 1)?.way ?? []);
    expect(at('/x')).toBe('/healthChecks/0/path');
    expect(at('protocol')).toBe('/healthChecks/0/protocol');
    expect(at('a/b')).toBe('/labels/a~1b');
  });
});

describe('two sides of one base', () => {
  const base = { id: '/a', mem: 64, env: { A: '1', B: '2' }, l: [1, 2] };
  it('clash where both changed, and nowhere else', () => {
    const mine = { ...base, mem: 128, env: { A: '1', B: 'mine' } };
    const theirs = { ...base, mem: 256, env: { A: 'theirs', B: '2' }, cpus: 1 };
    const sides = compareSides(base, mine, theirs);
    expect(sides.clashes.map((it) => it.pointer)).toEqual(['/mem']);
    expect(sides.theirs.map((it) => it.pointer)).toEqual(['/mem', '/env/A', '/cpus']);
    const kept = takeOver(fromValue(mine), sides.theirs, (pointer) => pointer === '/mem');
    expect(kept.toJS()).toEqual({ id: '/a', mem: 128, env: { A: 'theirs', B: 'mine' }, l: [1, 2], cpus: 1 });
    const taken = takeOver(fromValue(mine), sides.theirs, () => false);
    expect(taken.toJS()).toEqual({ id: '/a', mem: 256, env: { A: 'theirs', B: 'mine' }, l: [1, 2], cpus: 1 });
  });
  it('agree where both made the same of it', () => {
    const both = { ...base, mem: 128 };
    expect(compareSides(base, both, both).clashes).toEqual([]);
  });
  it('are told field by field', () => {
    expect(differences(base, { ...base, l: [1, 3] }).map((it) => it.pointer)).toEqual(['/l/1']);
    expect(differences(base, { ...base, l: [1] }).map((it) => it.pointer)).toEqual(['/l']);
  });
});
