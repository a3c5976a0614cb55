// The state of one document while it is worked on: three views of it, and a draft that outlives a reload.
import type { Document } from 'yaml';
import {
  type Fields,
  fromValue,
  hasComments,
  type Json,
  readJson,
  readYaml,
  type TextFault,
  valueAt,
  type Way,
  withValue,
  withWhole,
  writeJson,
  writeYaml,
} from './document';

export type View = 'form' | 'yaml' | 'json';

export interface Draft {
  /** What was read last without a fault. */
  doc: Document;
  value: Fields;
  yaml: string;
  json: string;
  /** The view whose text cannot be read now; the others show what was read last. */
  fault?: { view: 'yaml' | 'json'; fault: TextFault };
}

export type Move =
  | { is: 'text'; view: 'yaml' | 'json'; text: string }
  | { is: 'field'; way: Way; value: Json | undefined }
  | { is: 'doc'; doc: Document };

function of(doc: Document): Draft {
  const value = (doc.toJS() as Fields | null) ?? {};
  return { doc, value, yaml: writeYaml(doc), json: writeJson(value) };
}

export function draftOfYaml(yaml: string): Draft {
  const read = readYaml(yaml);
  if (!read.fault) return { doc: read.doc, value: read.value, yaml, json: writeJson(read.value) };
  return { ...of(fromValue({})), yaml, fault: { view: 'yaml', fault: read.fault } };
}

export function draftOf(value: Fields): Draft {
  return of(fromValue(value));
}

export function moved(draft: Draft, move: Move): Draft {
  switch (move.is) {
    case 'field':
      return of(tidied(withValue(draft.doc, move.way, move.value)));
    case 'doc':
      return of(move.doc);
    case 'text': {
      const { text } = move;
      if (move.view === 'yaml') {
        const read = readYaml(text);
        if (read.fault) return { ...draft, yaml: text, fault: { view: 'yaml', fault: read.fault } };
        return { doc: read.doc, value: read.value, yaml: text, json: writeJson(read.value) };
      }
      const read = readJson(text);
      if (read.fault) return { ...draft, json: text, fault: { view: 'json', fault: read.fault } };
      // JSON with comments brings its own; JSON without leaves those that are there.
      const doc = hasComments(text) ? read.doc : withWhole(draft.doc, read.value);
      return { doc, value: read.value, yaml: writeYaml(doc), json: text };
    }
  }
}

/** A container without an image holds nothing together: its type alone is no wish. */
function tidied(doc: Document): Document {
  const container = valueAt(doc.toJS() as Json, ['container']) as Fields | undefined;
  const isBare = container && Object.keys(container).every((key) => key === 'type');
  return isBare ? withValue(doc, ['container'], undefined) : doc;
}

/** What is kept in the browser's session. */
export interface Kept {
  yaml: string;
  /** When it was changed last. */
  at: number;
  /** The definition that is changed, and its version. */
  base?: Fields;
  version?: string;
}

const key = (id: string) => `tepui.draft:${id}`;

export function keptDraft(id: string): Kept | undefined {
  try {
    const text = sessionStorage.getItem(key(id));
    return text ? (JSON.parse(text) as Kept) : undefined;
  } catch {
    return undefined;
  }
}

export function keepDraft(id: string, kept: Kept | undefined): void {
  try {
    if (kept) sessionStorage.setItem(key(id), JSON.stringify(kept));
    else sessionStorage.removeItem(key(id));
  } catch {
    // Without storage there is no draft.
  }
}
