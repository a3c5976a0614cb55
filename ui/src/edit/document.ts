// One document in two spellings. It lives as YAML, with its comments and in its author's order; the form
// and JSON change what differs in it and leave the rest alone.
import {
  type Document,
  isCollection,
  isMap,
  isPair,
  isScalar,
  isSeq,
  type Node,
  Pair,
  parseDocument,
  visit,
  type YAMLMap,
} from 'yaml';
import type { Fault } from '../api/types';
import { say } from '../words';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Fields = { [key: string]: Json };
/** The way to a value: names and positions. */
export type Way = (string | number)[];

/** Something that is wrong with a text, and where. */
export interface TextFault {
  message: string;
  /** Offset in the text. */
  at: number;
  line: number;
}

/** A sentence about a place of the document: the server's, or the page's own. */
export interface Problem extends Fault {
  own?: true;
}

/** A text that was read, or what keeps it from being read. */
export type Read = { doc: Document; value: Fields; fault?: undefined } | { fault: TextFault };

const OPTIONS = { keepSourceTokens: false, prettyErrors: false, uniqueKeys: true } as const;
const WRITING = { lineWidth: 0, indentSeq: true } as const;

/** Reads YAML; JSON is YAML as well. */
export function readYaml(text: string): Read {
  const doc = parseDocument(text.replace(/^\ufeff/, ''), OPTIONS);
  const error = doc.errors[0];
  if (error) return { fault: faultAt(text, error.pos[0], sentence(error.message, text, error.pos[0])) };
  const value = doc.toJS() as Json;
  if (value === null || value === undefined) return { doc: parseDocument('{}\n', OPTIONS), value: {} };
  if (typeof value !== 'object' || Array.isArray(value)) {
    return { fault: faultAt(text, 0, say('text.object')) };
  }
  return { doc, value };
}

/** Reads JSON. Comments and a comma too many are taken: people write them. */
export function readJson(text: string): Read {
  const read = readYaml(asYaml(text));
  if (read.fault) return read;
  if (!/^\s*\{/.test(asYaml(text).replace(/^(\s*#[^\n]*\n)*/, ''))) {
    return { fault: faultAt(text, 0, say('text.json')) };
  }
  block(read.doc);
  return read;
}

/** JSON's comments as those of YAML, each sign at its place. */
function asYaml(text: string): string {
  return text.replace(
    /"(?:\\.|[^"\\\n])*"|\/\/([^\n]*)|\/\*([\s\S]*?)\*\//g,
    (found, line?: string, inside?: string) => {
      if (line !== undefined) return `# ${line}`.slice(0, found.length).padEnd(found.length);
      // Several lines stay several lines.
      if (inside !== undefined) return `# ${inside.replace(/\n/g, '\n# ')} `;
      return found;
    },
  );
}

export function hasComments(text: string): boolean {
  return asYaml(text) !== text;
}

/** Everything as indented lines instead of braces. */
function block(doc: Document): void {
  visit(doc, {
    Collection: (_, node) => {
      node.flow = false;
    },
    Scalar: (key, node) => {
      // Names need no quotes, and texts only where they would be read as something else.
      if (node.type === 'QUOTE_DOUBLE' && (key === 'key' || typeof node.value === 'string')) node.type = 'PLAIN';
    },
  });
}

function faultAt(text: string, at: number, message: string): TextFault {
  return { message, at, line: text.slice(0, at).split('\n').length };
}

/** What a parser complains about, in words. */
function sentence(message: string, text: string, at: number): string {
  const line = text.slice(0, at).split('\n').at(-1) ?? '';
  if (/tab/i.test(message)) return say('text.tab');
  if (/unique/i.test(message)) return say('text.twice');
  if (/Missing closing/.test(message)) return say('text.quote');
  if (/flow (map|sequence|collection).*(end|must)|expected flow/i.test(message)) {
    return say('text.bracket');
  }
  if (/followed by map values/i.test(message)) return say('text.colon');
  if (/same column/i.test(message)) return say('text.column');
  if (/implicit keys|Nested mappings|single line/i.test(message)) {
    return say('text.structure');
  }
  const short = message.split('\n')[0]?.replace(/ at line.*$/, '') ?? message;
  return line.trim() ? say('text.other', { message: short }) : `${short}.`;
}

export function writeYaml(doc: Document): string {
  return doc.toString(WRITING);
}

export function writeJson(value: Json): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** A document for a value. */
export function fromValue(value: Fields): Document {
  const doc = parseDocument('{}\n', OPTIONS);
  doc.contents = doc.createNode(value) as typeof doc.contents;
  return doc;
}

function copy(doc: Document): Document {
  return parseDocument(writeYaml(doc), OPTIONS);
}

/** The document with one value changed; `undefined` takes it out, with objects that are empty then. */
export function withValue(doc: Document, way: Way, value: Json | undefined): Document {
  const next = copy(doc);
  if (!isMap(next.contents)) next.contents = next.createNode({}) as typeof next.contents;
  if (isMap(next.contents)) next.contents.flow = false;
  if (value !== undefined) {
    make(next, way.slice(0, -1), way.at(-1));
    const there = next.getIn(way, true) as Node | undefined;
    // A plain value keeps its node, and so the comment on its line.
    if (isScalar(there) && (value === null || typeof value !== 'object')) {
      if (typeof there.value !== typeof value) there.type = undefined as never;
      there.value = value;
    } else if (there && typeof value === 'object' && value !== null) {
      merge(next, way, value);
    } else next.setIn(way, value === null ? null : next.createNode(value));
    return next;
  }
  next.deleteIn(way);
  for (let up = way.slice(0, -1); up.length > 0; up = up.slice(0, -1)) {
    const node = next.getIn(up, true);
    if (!isCollection(node) || node.items.length > 0) break;
    next.deleteIn(up);
  }
  return next;
}

/** Objects and lists on the way to a value. */
function make(doc: Document, way: Way, last: string | number | undefined): void {
  for (let n = 1; n <= way.length; n++) {
    const at = way.slice(0, n);
    if (isCollection(doc.getIn(at, true))) continue;
    const next = n < way.length ? way[n] : last;
    doc.setIn(at, doc.createNode(typeof next === 'number' ? [] : {}));
  }
}

/** The document with the whole value, changed only where it differs. */
export function withWhole(doc: Document, value: Fields): Document {
  const next = copy(doc);
  if (!isMap(next.contents)) return fromValue(value);
  merge(next, [], value);
  return next;
}

function merge(doc: Document, way: Way, value: Json): void {
  const node = (way.length === 0 ? doc.contents : doc.getIn(way, true)) as Node | null | undefined;
  if (node && same(node.toJS(doc) as Json, value)) return;
  if (isMap(node) && isObject(value)) {
    node.flow = node.flow && Object.keys(value).length > 0 && way.length > 0 && node.items.length > 0;
    for (const key of keysOf(node)) if (!(key in value)) node.delete(key);
    for (const [key, below] of Object.entries(value)) {
      if (node.has(key)) merge(doc, [...way, key], below);
      else node.add(new Pair(doc.createNode(key), doc.createNode(below)) as never);
    }
    return;
  }
  if (isSeq(node) && Array.isArray(value)) {
    mergeList(doc, way, node.items as Node[], value);
    return;
  }
  if (isScalar(node) && (value === null || typeof value !== 'object')) {
    if (typeof node.value !== typeof value) node.type = undefined as never;
    node.value = value;
    return;
  }
  doc.setIn(way, doc.createNode(value));
}

/** Elements that stay take their comments with them, wherever they stand then. */
function mergeList(doc: Document, way: Way, items: Node[], value: Json[]): void {
  const old = items.map((node) => node.toJS(doc) as Json);
  const taken = new Set<number>();
  const find = (wanted: Json) => old.findIndex((it, at) => !taken.has(at) && same(it, wanted));
  const chosen = value.map((wanted) => {
    const at = find(wanted);
    if (at >= 0) taken.add(at);
    return at;
  });
  const rest = items.map((_, at) => at).filter((at) => !taken.has(at));
  const nodes = value.map((wanted, at) => {
    const known = chosen[at] ?? -1;
    if (known >= 0) return items[known] as Node;
    const place = rest.indexOf(at);
    if (place >= 0) {
      rest.splice(place, 1);
      return items[at] as Node;
    }
    return doc.createNode(wanted);
  });
  items.splice(0, items.length, ...nodes);
  value.forEach((wanted, at) => {
    merge(doc, [...way, at], wanted);
  });
}

function keysOf(map: YAMLMap): string[] {
  return map.items.map((pair) => String(isScalar(pair.key) ? pair.key.value : pair.key));
}

function isObject(value: Json | undefined): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether two values say the same; the order of fields says nothing. */
export function same(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((it, at) => same(it, b[at]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]));
}

export function valueAt(value: Json | undefined, way: Way): Json | undefined {
  let at: Json | undefined = value;
  for (const step of way) {
    if (Array.isArray(at)) at = at[Number(step)];
    else if (isObject(at) && Object.hasOwn(at, step)) at = at[step];
    else return undefined;
  }
  return at;
}

/** JSON pointer to way and back. */
export function wayOf(pointer: string): Way {
  const steps = pointer.split('/').slice(1);
  return steps.map((step) => {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
    return /^\d+$/.test(name) ? Number(name) : name;
  });
}

export function pointerOf(way: Way): string {
  return way.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** `healthChecks[0].path`. */
export function labelOf(pointer: string): string {
  return wayOf(pointer)
    .map((step, at) => (typeof step === 'number' ? `[${step}]` : `${at ? '.' : ''}${step}`))
    .join('');
}

export interface Range {
  from: number;
  to: number;
}

/** Where the value at a way stands in a text; where it is missing, the nearest thing around it. */
export function locate(text: string, pointer: string, key = false): Range | undefined {
  const doc = parseDocument(asYaml(text), OPTIONS);
  let node: unknown = doc.contents;
  let range: Range | undefined;
  for (const step of wayOf(pointer)) {
    if (isMap(node)) {
      const pair = node.items.find((it) => isScalar(it.key) && String(it.key.value) === String(step));
      if (!pair) break;
      const at = (pair.key as { range?: [number, number, number] }).range;
      range = at && { from: at[0], to: at[1] };
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(step)];
      const at = (node as Node | undefined)?.range;
      if (!at) break;
      range = { from: at[0], to: at[1] };
    } else break;
  }
  if (key) return range;
  const value = isScalar(node) ? node.range : undefined;
  return value && value[1] > value[0] ? { from: value[0], to: value[1] } : range;
}

/** The way to the field whose name or plain value stands at an offset. */
export function wayAt(text: string, offset: number): { way: Way; range: Range } | undefined {
  const doc = parseDocument(asYaml(text), OPTIONS);
  let found: { way: Way; range: Range } | undefined;
  visit(doc, {
    Pair: (_, pair, path) => {
      const at = (pair.key as Node | null)?.range;
      const value = isScalar(pair.value) ? pair.value.range : undefined;
      const hit = [at, value].find((it) => it && it[0] <= offset && offset <= it[1]);
      if (at && hit) found = { way: wayTo([...path, pair]), range: { from: hit[0], to: hit[1] } };
    },
  });
  return found;
}

function wayTo(path: readonly unknown[]): Way {
  const way: Way = [];
  path.forEach((step, at) => {
    if (isPair(step)) way.push(String(isScalar(step.key) ? step.key.value : step.key));
    else if (isSeq(step)) {
      const below = path[at + 1];
      const index = step.items.indexOf(below as never);
      if (index >= 0) way.push(index);
    }
  });
  return way;
}

/** A field that differs between two values. */
export interface Difference {
  pointer: string;
  before: Json | undefined;
  after: Json | undefined;
}

/** What differs, field by field; lists of equal length element by element. */
export function differences(before: Json | undefined, after: Json | undefined, way: Way = []): Difference[] {
  if (same(before, after)) return [];
  if (isObject(before) && isObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => differences(before[key], after[key], [...way, key]));
  }
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    return before.flatMap((it, at) => differences(it, after[at], [...way, at]));
  }
  return [{ pointer: pointerOf(way), before, after }];
}

/** Whether one place is the other or lies in it. */
function touches(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
}

/** What two sides made of one base: fields both changed, and not in the same way, stand apart. */
export function compareSides(base: Fields, mine: Fields, theirs: Fields) {
  const [ours, others] = [differences(base, mine), differences(base, theirs)];
  const agrees = (it: Difference) => same(valueAt(mine, wayOf(it.pointer)), valueAt(theirs, wayOf(it.pointer)));
  const clashes = others.filter((it) => !agrees(it) && ours.some((own) => touches(own.pointer, it.pointer)));
  return { mine: ours, theirs: others, clashes };
}

/** The document with what the others changed, save where mine is to stay. */
export function takeOver(doc: Document, theirs: Difference[], keep: (pointer: string) => boolean): Document {
  return theirs
    .filter((it) => !keep(it.pointer))
    .reduce((next, it) => withValue(next, wayOf(it.pointer), it.after), doc);
}
