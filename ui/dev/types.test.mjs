import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CONTRACT, TYPES, typesOf } from './types.mjs';

const of = (schemas) => typesOf(JSON.stringify({ components: { schemas } }));

test('types.ts is what the contract gives; `npm run types` writes it anew', () => {
  expect(readFileSync(TYPES, 'utf8')).toBe(typesOf(readFileSync(CONTRACT, 'utf8')));
});

test('fields are there or not as the contract says, and bases are extended', () => {
  const text = of({
    Word: { type: 'string', enum: ['a', 'b'] },
    Base: { type: 'object', required: ['id'], properties: { id: { type: 'string' }, n: { type: 'integer' } } },
    Row: {
      allOf: [
        { $ref: '#/components/schemas/Base' },
        { type: 'object', properties: { words: { type: 'array', items: { $ref: '#/components/schemas/Word' } } } },
      ],
    },
  });
  expect(text).toContain("export type Word = 'a' | 'b';");
  expect(text).toContain('export interface Base {\n  id: string;\n  n?: number;\n}');
  expect(text).toContain('export interface Row extends Base {\n  words?: Word[];\n}');
});

test('what the script has no type for is refused', () => {
  expect(() => of({ A: { type: 'object', properties: {}, patternProperties: {} } })).toThrow('patternProperties');
  expect(() => of({ A: { oneOf: [] } })).toThrow('unknown kind');
  expect(() => of({ A: { type: 'object', properties: { b: { type: 'boolean', 'no more': null } } } })).toThrow('no more');
  expect(() => of({ A: { type: 'object', required: ['b'], properties: {} } })).toThrow('b is required');
});
