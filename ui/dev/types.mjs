// Makes src/api/types.ts of the schemas in docs/api/openapi.yaml, the contract that the server's
// answers are held against: `npm run types`. Knows the part of JSON Schema that the contract uses
// and refuses the rest, so that nothing in it is lost in silence.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const CONTRACT = join(import.meta.dirname, '../../docs/api/openapi.yaml');
export const TYPES = join(import.meta.dirname, '../src/api/types.ts');

const HEAD =
  '// The shapes of /tepui/v1: made from docs/api/openapi.yaml by `npm run types`, not by hand.\n';
const WIDTH = 100;
const REF = '#/components/schemas/';
/** A value that may be nothing is written so: `type: [number, 'null']`. */
const OR_NULL = 'null';
const SCALARS = { string: 'string', integer: 'number', number: 'number', boolean: 'boolean' };
/** Words of a schema that say something about a value which TypeScript has no type for. */
const UNTYPED = ['format', 'minimum', 'maximum', 'minItems', 'default'];
/** Words that each kind of schema may have beside `description` and the untyped ones. */
const WORDS = {
  $ref: [],
  allOf: [],
  enum: ['type'],
  array: ['type', 'items'],
  object: ['type', 'properties', 'required', 'additionalProperties'],
  string: ['type'],
  integer: ['type'],
  number: ['type'],
  boolean: ['type'],
};

/** The text of types.ts for the text of the contract. */
export function typesOf(contract) {
  const { schemas } = parse(contract).components;
  const all = Object.entries(schemas).map(([name, schema]) => declaration(name, schema));
  return [HEAD, ...all].join('\n');
}

function declaration(name, schema) {
  const said = comment(schema, '');
  if (kindOf(schema) === 'allOf') {
    const bases = schema.allOf.slice(0, -1).map((base) => typeOf(base));
    const own = body(schema.allOf.at(-1), '');
    return `${said}export interface ${name} extends ${bases.join(', ')} ${own}\n`;
  }
  if (schema.properties) return `${said}export interface ${name} ${body(schema, '')}\n`;
  const before = `export type ${name} =`;
  return `${said}${before}${value(schema, before, '')};\n`;
}

/** What stands behind `before`; words that do not fit on its line stand one on each. */
function value(schema, before, indent) {
  const type = typeOf(schema, indent);
  if (!schema.enum || `${before} ${type};`.length <= WIDTH) return ` ${type}`;
  return schema.enum.map((word) => `\n${indent}  | '${word}'`).join('');
}

/** The type of a value; what is inside an object is indented by one more than `indent`. */
function typeOf(schema, indent = '') {
  if (Array.isArray(schema.type)) return orNull(schema, indent);
  const kind = kindOf(schema);
  switch (kind) {
    case '$ref':
      if (!schema.$ref.startsWith(REF)) throw new Error(`${schema.$ref} is not below ${REF}`);
      return schema.$ref.slice(REF.length);
    case 'enum':
      return schema.enum.map((word) => `'${word}'`).join(' | ');
    case 'array': {
      const items = typeOf(schema.items, indent);
      return / \| /.test(items) && !items.startsWith('{') ? `(${items})[]` : `${items}[]`;
    }
    case 'object':
      if (schema.properties) return body(schema, indent);
      return typeof schema.additionalProperties === 'object'
        ? `Record<string, ${typeOf(schema.additionalProperties, indent)}>`
        : 'Record<string, unknown>';
    default:
      if (!SCALARS[kind]) throw new Error(`only with a name: ${JSON.stringify(schema)}`);
      return SCALARS[kind];
  }
}

/** The type of a value that may be nothing. */
function orNull(schema, indent) {
  const [type, or, ...more] = schema.type;
  if (or !== OR_NULL || more.length > 0) throw new Error(`no kind: ${JSON.stringify(schema)}`);
  return `${typeOf({ ...schema, type }, indent)} | null`;
}

/** The fields of an object, in braces. */
function body(schema, indent) {
  if (kindOf(schema) !== 'object') throw new Error(`no object: ${JSON.stringify(schema)}`);
  const required = new Set(schema.required);
  for (const name of required) {
    if (!schema.properties[name]) throw new Error(`${name} is required and not described`);
  }
  const inner = `${indent}  `;
  const fields = Object.entries(schema.properties).map(([name, field]) => {
    const before = `${inner}${name}${required.has(name) ? '' : '?'}:`;
    return `${comment(field, inner)}${before}${value(field, before, inner)};\n`;
  });
  return `{\n${fields.join('')}${indent}}`;
}

function kindOf(schema) {
  const kind = ['$ref', 'allOf', 'enum'].find((word) => word in schema) ?? schema.type;
  const words = WORDS[kind];
  if (!words) throw new Error(`a schema of an unknown kind: ${JSON.stringify(schema)}`);
  const known = ['description', kind, ...UNTYPED, ...words];
  const unknown = Object.keys(schema).filter((word) => !known.includes(word));
  if (unknown.length > 0) throw new Error(`${unknown.join(', ')} in ${JSON.stringify(schema)}`);
  return kind;
}

function comment({ description }, indent) {
  if (!description) return '';
  const lines = description.trim().split('\n');
  if (lines.length === 1 && indent.length + lines[0].length + 7 <= WIDTH) {
    return `${indent}/** ${lines[0]} */\n`;
  }
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}\n`).join('')}${indent} */\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(TYPES, typesOf(readFileSync(CONTRACT, 'utf8')));
}
