import { afterEach, describe, expect, test, vi } from 'vitest';
import { cpus, mebibytes } from '../lib/format';
import { LOOK, lookOf } from '../lib/status';
import { de } from './de';
import { en as first } from './en';
import { choose, currentLanguage, LANGUAGES, number, onLanguage, say, sayAny } from './index';
import { late } from './late';

const en = { ...first, ...late };
const CATALOGS: Record<string, Record<string, unknown>> = { en, de };
const forms = (text: unknown): string[] => (typeof text === 'string' ? [text] : Object.values(text as object));
const names = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

afterEach(() => choose('en'));

test('every language has a file that is tested here', () => {
  expect(Object.keys(CATALOGS).sort()).toEqual(Object.keys(LANGUAGES).sort());
});

describe.each(Object.keys(CATALOGS))('%s', (language) => {
  const catalog = CATALOGS[language] ?? {};

  test('has the keys of English, no more and no fewer', () => {
    expect(Object.keys(catalog).sort()).toEqual(Object.keys(en).sort());
  });

  test('fills in what English fills in, and leaves no text empty', () => {
    for (const [key, text] of Object.entries(en)) {
      const own = forms(catalog[key]);
      expect(own.length, key).toBe(forms(text).length);
      for (const form of own) {
        expect(form.trim(), key).toBe(form);
        expect(form, key).not.toBe('');
        // Of one thing alone the number may be left out.
        const wanted = names(forms(text).at(-1) ?? '');
        const told = own.length > 1 && form === own[0] && !form.includes('{n}') ? wanted.filter((name) => name !== 'n') : wanted;
        expect(names(form), key).toEqual(told);
      }
    }
  });
});

test('each area is a file of every language, and no two areas have the same key', () => {
  const files = import.meta.glob<Record<string, object>>('./*/*.ts', { eager: true });
  const areas = (language: string) => Object.keys(files).filter((path) => path.startsWith(`./${language}/`));
  for (const language of Object.keys(LANGUAGES)) {
    expect(areas(language).map((path) => path.replace(`/${language}/`, '/en/'))).toEqual(areas('en'));
    const keys = areas(language).flatMap((path) => Object.values(files[path] ?? {}).flatMap(Object.keys));
    expect(keys.sort()).toEqual(Object.keys(CATALOGS[language] ?? {}).sort());
  }
});

test('each key is used somewhere', () => {
  const sources = import.meta.glob<string>(['../**/*.{ts,tsx}', '!./**'], { query: '?raw', import: 'default', eager: true });
  const text = Object.values(sources).join('\n');
  expect(text.length).toBeGreaterThan(50_000);
  // Keys that are put together: `state.…`, `theme.…` and the like stand as a template before a `$`.
  const made = [...text.matchAll(/`([a-zA-Z.]+)\.\$\{/g)].map(([, start]) => `${start}.`);
  const unused = Object.keys(en).filter((key) => !text.includes(`'${key}'`) && !made.some((start) => key.startsWith(start)));
  expect(unused).toEqual([]);
});

test('every state has its word', () => {
  for (const { word } of Object.values(LOOK)) {
    expect(sayAny(`state.${word}`), word).toBe(word);
  }
});

test('counts, numbers and quantities are those of the language', async () => {
  expect([say('count.services', { n: 1 }), say('count.services', { n: 1200 })]).toEqual(['1 service', '1,200 services']);
  expect([number(0.5, 2), mebibytes(1536), cpus(0.25)]).toEqual(['0.5', '1.5 GiB', '0.25']);
  const told = vi.fn();
  const stop = onLanguage(told);
  await choose('de');
  stop();
  expect(told).toHaveBeenCalledTimes(1);
  expect(currentLanguage()).toBe('de');
  expect([say('count.services', { n: 1 }), say('count.services', { n: 1200 })]).toEqual(['1 Dienst', '1.200 Dienste']);
  expect([number(0.5, 2), mebibytes(1536), cpus(0.001)]).toEqual(['0,5', '1,5 GiB', '0,001']);
  expect(lookOf('running').word).toBe('Läuft');
});

test('what the editor says is said by it alone, and it knows its words', () => {
  const sources = import.meta.glob<string>(['../**/*.{ts,tsx}', '!./**', '!../**/*.test.ts'], { query: '?raw', import: 'default', eager: true });
  const areas = [...new Set(Object.keys(late).map((key) => key.split('.')[0]))];
  const saying = Object.entries(sources).filter(([, text]) => areas.some((area) => text.includes(`'${area}.`) || text.includes(`\`${area}.`)));
  const strangers = saying.map(([path]) => path).filter((path) => !path.startsWith('../edit/') && path !== '../screens/create.tsx');
  expect(strangers).toEqual([]);
  expect(sources['../screens/create.tsx']).toContain("'../words/late'");
});
