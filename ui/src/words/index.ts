// Every text of the page by its key, in the reader's language. `en.ts` says which keys there are and
// what each needs to know; another language is fetched only when it is chosen. An area of the page has
// a file in each language, spread into `en.ts` and `de.ts` by a line each.
import { en } from './en';
import type { late } from './late';

type Words = typeof en & typeof late;
export type Key = keyof Words;
/** One text, or one for each way the language counts by `n`. */
type Text = string | { readonly one: string; readonly other: string };
/** What another language must bring: the same keys, counted where English counts. */
export type Catalog<Area = Words> = {
  readonly [K in keyof Area]: Area[K] extends string ? string : Record<'one' | 'other', string>;
};

/** The `{names}` in a text. */
type Names<S> = S extends `${string}{${infer Name}}${infer Rest}` ? Name | Names<Rest> : never;
type Wants<T> = T extends { other: infer Other } ? 'n' | Names<Other> : Names<T>;
/** What a text has to be told, as texts and numbers or as whatever takes their places. */
export type ValuesOf<K extends Key, V> = Record<Wants<Words[K]>, V>;
type Values<K extends Key> = [Wants<Words[K]>] extends [never] ? [] : [values: ValuesOf<K, string | number>];

/** How a language is called in itself. A new one is a line here and what lies beside `de.ts`, `de/`. */
export const LANGUAGES = { en: 'English', de: 'Deutsch' } as const;
export type Language = keyof typeof LANGUAGES;

const KEY = 'tepui.language';
const OTHERS: Record<Exclude<Language, 'en'>, () => Promise<Catalog>> = {
  de: () => import('./de').then((file) => file.de),
};

let language: Language = 'en';
/** What of English is here so far. */
const english = { ...en } as unknown as Catalog;
let catalog: Catalog = english;
let plurals = new Intl.PluralRules(language);
let numbers = new Map<string, Intl.NumberFormat>();
const listeners = new Set<() => void>();

function isLanguage(text: string | null | undefined): text is Language {
  return !!text && Object.hasOwn(LANGUAGES, text);
}

/** Takes in English texts of a part of the page that comes later. */
export function learn(texts: typeof late): void {
  Object.assign(english, texts);
}

/** The one that was chosen, or the first that the browser asks for and we have. */
function wanted(): Language {
  try {
    const stored = localStorage.getItem(KEY);
    if (isLanguage(stored)) return stored;
  } catch {
    // Without storage the browser's wish counts.
  }
  return navigator.languages.map((tag) => tag.slice(0, 2)).find(isLanguage) ?? 'en';
}

async function speak(next: Language): Promise<void> {
  catalog = next === 'en' ? english : await OTHERS[next]();
  language = next;
  plurals = new Intl.PluralRules(next);
  numbers = new Map();
  if (typeof document !== 'undefined') document.documentElement.lang = next;
  for (const f of listeners) f();
}

/** Before the first paint: the reader's language. What cannot be fetched leaves English. */
export function prepareWords(): Promise<void> {
  return speak(wanted()).catch(() => undefined);
}

export async function choose(next: Language): Promise<void> {
  await speak(next);
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Without storage the choice lasts for this page.
  }
}

export const currentLanguage = (): Language => language;

export function onLanguage(f: () => void): () => void {
  listeners.add(f);
  return () => listeners.delete(f);
}

/** A number as the reader's language writes it, with at most so many decimals, and at least so many. */
export function number(value: number, decimals = 0, useGrouping = true, atLeast = 0): string {
  const key = `${decimals} ${useGrouping} ${atLeast}`;
  let format = numbers.get(key);
  if (!format) {
    const digits = { minimumFractionDigits: atLeast, maximumFractionDigits: decimals };
    format = new Intl.NumberFormat(language, { ...digits, useGrouping });
    numbers.set(key, format);
  }
  return format.format(value);
}

/** The text of `key`, cut at its values: texts in the even places, values in the odd ones. */
export function pieces<K extends Key, V>(key: K, values: ValuesOf<K, V>): (string | V)[] {
  const text: Text = catalog[key];
  const given = values as Record<string, V>;
  const form = typeof text === 'string' ? text : text[plurals.select(Number(given.n)) === 'one' ? 'one' : 'other'];
  return form.split(/\{(\w+)\}/).map((part, at) => {
    const value = at % 2 === 0 ? part : given[part];
    return typeof value === 'number' ? number(value) : (value ?? '');
  });
}

/** The text of `key` with its values; numbers are written as the language does. */
export function say<K extends Key>(key: K, ...values: Values<K>): string {
  return pieces(key, (values[0] ?? {}) as ValuesOf<K, string | number>).join('');
}

/** The text of a key that is put together, such as a state's; undefined when there is none. */
export function sayAny(key: string): string | undefined {
  const text = Object.hasOwn(catalog, key) ? catalog[key as Key] : undefined;
  return typeof text === 'string' ? text : undefined;
}
