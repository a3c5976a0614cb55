// Where the cursor stands in a text that may be half written: what is around it, and what is being typed.
import type { Way } from './document';

export interface Context {
  /** The object or value around what is typed. */
  way: Way;
  /** A field's name is typed, or its value. */
  kind: 'key' | 'value';
  /** Where the typed word begins. */
  from: number;
  /** Columns of the line's indentation, for what is written below. */
  indent: number;
}

export function yamlContext(text: string, offset: number): Context | undefined {
  const lines = text.slice(0, offset).split('\n');
  const line = lines.at(-1) ?? '';
  if (/(^|\s)#/.test(line)) return undefined;
  const value = /^((?:\s|- )*)"?([\w.@/-]+)"?:\s+"?([^"#]*)$/.exec(line);
  if (value) {
    const [, lead = '', key = '', typed = ''] = value;
    const way = [...around(lines.slice(0, -1), lead), key];
    return { way, kind: 'value', from: offset - typed.length, indent: lead.length };
  }
  const key = /^((?:\s|- )*)"?([\w.@/-]*)$/.exec(line);
  if (!key) return undefined;
  const [, lead = '', typed = ''] = key;
  const way = around(lines.slice(0, -1), lead);
  return { way, kind: 'key', from: offset - typed.length, indent: lead.length };
}

/** The way to what holds a line, found by its indentation. */
function around(above: string[], lead: string): Way {
  const way: Way = [];
  let column = lead.length;
  let inList = false;
  const open = (dashes: string) => {
    // Each dash opens an element; its column is the one to look below.
    const columns = [...dashes.matchAll(/-/g)].map((dash) => dash.index);
    for (const at of columns.reverse()) {
      way.unshift(0);
      column = at;
      inList = true;
    }
  };
  open(lead);
  for (let n = above.length - 1; n >= 0 && (column > 0 || inList); n--) {
    const found = /^((?:\s|- )*)"?([^\s"#:][^":#]*)"?:(\s|$)/.exec(above[n] ?? '');
    if (!found) continue;
    const [, before = '', key = ''] = found;
    const isAbove = before.length < column || (inList && before.length === column && !before.includes('-'));
    if (isAbove) {
      way.unshift(key);
      column = before.length;
      inList = false;
      open(before);
    } else if (before.length === column && before.includes('-') && !inList) open(before);
  }
  return way;
}

export function jsonContext(text: string, offset: number): Context | undefined {
  const before = text.slice(0, offset);
  const stack: { list: boolean; key?: string; at: number; value: boolean }[] = [];
  const token = /"((?:\\.|[^"\\])*)("?)|[{}[\],:]|[^\s{}[\],:"]+/g;
  let open: { from: number; text: string } | undefined;
  let last: string | undefined;
  for (const found of before.matchAll(token)) {
    const top = stack.at(-1);
    const [sign, inside, closed] = found;
    open = undefined;
    if (sign === '{') stack.push({ list: false, at: 0, value: false });
    else if (sign === '[') stack.push({ list: true, at: 0, value: true });
    else if (sign === '}' || sign === ']') stack.pop();
    else if (sign === ',' && top) {
      top.at += 1;
      top.value = top.list;
    } else if (sign === ':' && top && last !== undefined) {
      top.key = last;
      top.value = true;
    } else if (inside !== undefined && closed !== '"') open = { from: found.index + 1, text: inside };
    else if (found.index + sign.length === before.length && inside === undefined) {
      open = { from: found.index, text: sign };
    }
    last = inside;
  }
  const top = stack.at(-1);
  if (!top) return undefined;
  const way: Way = stack.slice(0, -1).map((it) => (it.list ? it.at : (it.key ?? '')));
  if (top.value) way.push(top.list ? top.at : (top.key ?? ''));
  const indent = /^\s*/.exec(before.split('\n').at(-1) ?? '')?.[0].length ?? 0;
  return { way, kind: top.value ? 'value' : 'key', from: open?.from ?? offset, indent };
}
