// The schema that the server draws of its reader, as the form and the editor ask it.
import { number, say } from '../words';
import type { Json, Way } from './document';

export interface Schema {
  type?: 'string' | 'number' | 'integer' | 'boolean' | 'array' | 'object';
  description?: string;
  default?: Json;
  enum?: string[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  pattern?: string;
  deprecated?: boolean;
  required?: string[];
  properties?: Record<string, Schema>;
  additionalProperties?: Schema;
  items?: Schema;
  anyOf?: Schema[];
  'x-unit'?: string;
}

function forms(schema: Schema): Schema[] {
  return schema.anyOf ?? [schema];
}

function below(schema: Schema, step: string | number): Schema | undefined {
  for (const form of forms(schema)) {
    const found =
      form.properties?.[step] ?? (typeof step === 'number' ? form.items : undefined) ?? form.additionalProperties;
    if (found) return found;
  }
  return undefined;
}

/** What may stand at a place. */
export function schemaAt(root: Schema, way: Way): Schema | undefined {
  let at: Schema | undefined = root;
  for (const step of way) {
    if (!at) return undefined;
    at = below(at, step);
  }
  return at;
}

/** The fields an object at a place may have. */
export function fieldsOf(schema: Schema | undefined): [string, Schema][] {
  if (!schema) return [];
  return forms(schema).flatMap((form) => Object.entries(form.properties ?? {}));
}

/** Words a value may be. */
export function wordsOf(schema: Schema | undefined): string[] {
  if (!schema) return [];
  return forms(schema).flatMap((form) => form.enum ?? (form.type === 'boolean' ? ['true', 'false'] : []));
}

/** Kind, bounds and default in a few words. */
export function boundsOf(schema: Schema): string {
  const unit = schema['x-unit'] ? ` ${schema['x-unit']}` : '';
  const parts: string[] = [];
  const kinds = forms(schema).map((form) => (form.enum ? form.enum.join(' · ') : (form.type ?? say('schema.anything'))));
  parts.push([...new Set(kinds)].reduce((a, b) => say('schema.or', { a, b })) + (schema['x-unit'] ? `,${unit}` : ''));
  const { minimum, maximum } = schema;
  if (minimum !== undefined && maximum !== undefined && maximum < 1e6) parts.push(say('schema.range', { from: number(minimum, 3), to: number(maximum, 3) }));
  else if (minimum !== undefined && minimum > 0) parts.push(say('schema.atLeast', { n: number(minimum, 3) }));
  if (schema.default !== undefined && schema.default !== '') parts.push(say('schema.default', { value: `${String(schema.default)}${unit}` }));
  if (schema.deprecated) parts.push(say('schema.former'));
  return parts.join(' · ');
}

/** Fields nobody reads, by pointer. The server says the same; this answers while typing. */
export function strangers(value: Json | undefined, schema: Schema | undefined, at = ''): string[] {
  if (!schema || typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) {
    return value.flatMap((it, n) => strangers(it, below(schema, n), `${at}/${n}`));
  }
  const open = forms(schema).some((form) => form.type === 'object' && !form.properties && !form.additionalProperties);
  return Object.entries(value).flatMap(([key, it]) => {
    const here = `${at}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    const found = below(schema, key);
    if (found) return strangers(it, found, here);
    return open ? [] : [here];
  });
}

/** What the server adds to a definition when it shows one. */
const ADDED = new Set(['version', 'versionInfo', 'residency']);
/** Objects whose absence can mean something else than their defaults. */
const KEPT = new Set(['upgradeStrategy', 'unreachableStrategy']);

/** A definition without what would be so anyway. */
export function withoutDefaults(value: Json, schema: Schema | undefined, top = true): Json {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    return value.map((it) => withoutDefaults(it, schema && below(schema, 0), false));
  }
  const kept: Record<string, Json> = {};
  const named = schema && forms(schema).some((form) => form.properties);
  for (const [key, it] of Object.entries(value)) {
    const known = schema && below(schema, key);
    if (top && ADDED.has(key)) continue;
    if (top && KEPT.has(key)) {
      if (!isUsual(key, it, value)) kept[key] = it;
      continue;
    }
    if (!named) {
      kept[key] = it;
      continue;
    }
    if (it === null || (known?.default !== undefined && known.default === it)) continue;
    const inner = withoutDefaults(it, known, false);
    const empty = typeof inner === 'object' && inner !== null && Object.keys(inner).length === 0;
    // An object that is there says something even when all in it is usual; an empty list of ports does too.
    if (empty && (key === 'labels' || key === 'parameters' || key === 'volumes' || key === 'env')) continue;
    kept[key] = inner;
  }
  return kept;
}

function isUsual(key: string, value: Json, app: Record<string, Json>): boolean {
  const container = app.container as { volumes?: Record<string, Json>[] } | undefined;
  if (container?.volumes?.some((volume) => volume.persistent || volume.external)) return false;
  const usual =
    key === 'upgradeStrategy'
      ? { maximumOverCapacity: 1, minimumHealthCapacity: 1 }
      : { inactiveAfterSeconds: 0, expungeAfterSeconds: 0 };
  return Object.entries(usual).every(([name, it]) => (value as Record<string, Json>)?.[name] === it);
}
