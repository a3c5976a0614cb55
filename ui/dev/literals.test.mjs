import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync } from 'vite';
import { expect, test } from 'vitest';
import { en as first } from '../src/words/en';
import { late } from '../src/words/late';

// What a reader sees or hears stands in src/words. A text within a component would stay English.

/** Words that are the same in every language: names, and what is typed as it stands. */
const EXCEPTIONS = [
  'tepui', // the brand
  'curl', // a command
  'Ctrl K', // keys
  '/shop/web', // an id
  'hostname', // a field of a constraint
];

/** Attributes and fields whose strings are read. */
const READ = new Set(
  'title label aria-label aria-description aria-roledescription aria-valuetext placeholder alt text about hint error verb done empty sub head heading word'.split(' '),
);
/** Functions whose first argument is a key. */
const KEYED = new Set(['say', 'said', 'sayAny', 'pieces']);

const en = { ...first, ...late };
const src = join(import.meta.dirname, '..', 'src');
const isWord = (text) => /\p{L}{2,}/u.test(text);
/** What the command line is told, and keys of texts. */
const isCode = (text) => /^ *(tepui [a-z]|--)/.test(text) || Object.hasOwn(en, text);
const isExcepted = (text) => EXCEPTIONS.includes(text.replace(/^[\s·]+|[\s·.]+$/g, ''));

/** The strings that an expression may come out as. */
function strings(node) {
  if (!node) return [];
  switch (node.type) {
    case 'Literal':
      return typeof node.value === 'string' ? [node.value] : [];
    case 'TemplateLiteral':
      return [...node.quasis.map(({ value }) => value.cooked), ...node.expressions.flatMap(strings)];
    case 'ConditionalExpression':
      return [...strings(node.consequent), ...strings(node.alternate)];
    case 'LogicalExpression':
      return [...strings(node.left), ...strings(node.right)];
    case 'BinaryExpression':
      return node.operator === '+' ? [...strings(node.left), ...strings(node.right)] : [];
    case 'ArrayExpression':
      return node.elements.flatMap(strings);
    case 'CallExpression': {
      const { callee, arguments: given } = node;
      if (KEYED.has(callee.name)) return (given[1]?.properties ?? []).flatMap(({ value }) => strings(value));
      // The words of a list that is gone through are not what comes out of it.
      const of = callee.type === 'MemberExpression' ? [callee.object].filter((object) => !isList(object)) : given;
      return of.flatMap(strings);
    }
    case 'ArrowFunctionExpression':
      return node.body.type === 'BlockStatement' ? [] : strings(node.body);
    case 'JSXExpressionContainer':
    case 'ParenthesizedExpression':
    case 'TSAsExpression':
      return strings(node.expression);
    default:
      return [];
  }
}

const isList = ({ type, expression }) =>
  type === 'ArrayExpression' || (expression !== undefined && isList(expression));
const nameOf = (key) => key?.name ?? key?.value;

/** Texts of one node, without those of the nodes in it. */
function texts(node) {
  switch (node.type) {
    case 'JSXText':
      return [node.value.trim()];
    case 'JSXElement':
    case 'JSXFragment':
      return node.children.filter(({ type }) => type === 'JSXExpressionContainer').flatMap(strings);
    case 'JSXAttribute':
    case 'Property':
      return READ.has(nameOf(node.name ?? node.key)) ? strings(node.value) : [];
    case 'CallExpression':
      return node.callee.name === 'toast' ? strings(node.arguments[0]) : [];
    default:
      return [];
  }
}

/** Outside of components: whatever reads like a sentence. */
const sentences = (node) =>
  (node.type === 'Literal' ? strings(node) : node.type === 'TemplateLiteral' ? node.quasis.map(({ value }) => value.cooked) : [])
    .filter((text) => /^\p{Lu}\p{L}* \p{L}/u.test(text) && !Object.hasOwn(en, `state.${text}`));

function literals(source, file = 'x.tsx') {
  const { program, errors } = parseSync(file, source);
  expect(errors, file).toEqual([]);
  const of = file.endsWith('.tsx') ? texts : sentences;
  const found = [];
  const walk = (node) => {
    if (Array.isArray(node)) node.forEach(walk);
    else if (node && typeof node === 'object') {
      if (typeof node.type === 'string') found.push(...of(node));
      Object.values(node).forEach(walk);
    }
  };
  walk(program);
  return [...new Set(found.filter((text) => isWord(text) && !isCode(text)))];
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .map((name) => name.replaceAll('\\', '/'))
  .filter((name) => /\.tsx?$/.test(name) && !name.includes('.test.') && !name.startsWith('words'));
const found = new Map(files.map((file) => [file, literals(readFileSync(join(src, file), 'utf8'), file)]));

test.each([
  ['<p>Some words</p>', ['Some words']],
  ["<p>{a ? 'One' : `Two of ${n}`}</p>", ['One', 'Two of ']],
  ['<p title="Some words" className="not these" />', ['Some words']],
  ["<p aria-label={say('a.key', { what: 'word' })}>{say('a.key')}</p>", ['word']],
  ["const tabs = [{ id: 'form', text: 'Form' }]", ['Form']],
  ["toast(`${id}: starting`)", [': starting']],
  ["<p>{list.map((one) => one.name).join(', ')}: {list.length} {view === 'yaml' && '…'}</p>", []],
])('what is read is found in %s', (source, wanted) => expect(literals(source)).toEqual(wanted));

test('no text stands outside of src/words', () => {
  expect(files.length).toBeGreaterThan(80);
  const wrong = files.flatMap((file) => found.get(file).filter((text) => !isExcepted(text)).map((text) => `${file}: ${text}`));
  expect(wrong).toEqual([]);
});

test('what is excepted is still there', () => {
  const all = [...found.values()].flat().filter(isExcepted).join('\n');
  expect(EXCEPTIONS.filter((text) => !all.includes(text))).toEqual([]);
});
