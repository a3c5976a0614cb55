// The filter line of a list as a language: words, "exact words", `field:value,value`, `-not`, `OR` and
// parentheses. Read once, then asked for each row.

/** What can be asked of one row of a list. */
export interface Field<T> {
  test: (row: T, value: string) => boolean;
  /** What is offered after the colon. */
  values: (rows: readonly T[]) => string[];
  /** Nothing but these values means anything. */
  closed?: boolean;
}

export interface Language<T> {
  /** What words are looked for in, in small letters. */
  text: (row: T) => string;
  fields: Record<string, Field<T>>;
}

/** What is not right, for the word files; `text` is the part that is meant. */
export interface Fault {
  kind: 'quote' | 'parenthesis' | 'field' | 'value' | 'empty';
  text: string;
}

export interface Query<T> {
  test: (row: T) => boolean;
  /** Words that a hit contains, to be marked in it. */
  words: string[];
  fault?: Fault;
}

type Token = { kind: '(' | ')' | 'or' | 'not'; text: string } | { kind: 'term'; text: string; field?: string; quoted: boolean; values: string[] };
type Test<T> = (row: T) => boolean;

const TOKEN = /\s*(?:(\()|(\))|(OR(?=\s|$)|\||,(?=\s))|(-(?=\S))|((?:[a-z]+:)?(?:"[^"]*"?|[^\s()"|,]+)(?:,(?=\S)(?:"[^"]*"?|[^\s()"|,]+))*:?))/y;

function tokens(text: string): { list: Token[]; fault?: Fault } {
  const list: Token[] = [];
  let fault: Fault | undefined;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (!match) {
      // White space at the end, or a sign that stands alone.
      TOKEN.lastIndex = at + 1;
      continue;
    }
    const [, open, close, or, not, term] = match;
    if (open) list.push({ kind: '(', text: open });
    else if (close) list.push({ kind: ')', text: close });
    else if (or) list.push({ kind: 'or', text: or });
    else if (not) list.push({ kind: 'not', text: not });
    else if (term) {
      const token = termOf(term);
      if ((term.match(/"/g)?.length ?? 0) % 2 === 1) fault ??= { kind: 'quote', text: term };
      list.push(token);
    }
  }
  return { list, fault };
}

function termOf(text: string): Token {
  const [, field, rest = ''] = /^([a-z]+):(.*)$/s.exec(text) ?? [undefined, undefined, text];
  const quoted = rest.startsWith('"');
  const values = (rest.match(/"[^"]*"?|[^,]+/g) ?? []).map((value) => value.replace(/^"|"$/g, '').toLowerCase());
  return { kind: 'term', text, field, quoted, values: field ? values : [values.join(',')] };
}

/** Reads a line; what cannot be understood is said, and the rest of it still filters. */
export function parse<T>(line: string, language: Language<T>): Query<T> {
  const { list, fault } = tokens(line);
  const reader = new Reader(list, language, fault);
  const test = list.length > 0 ? reader.any() : () => true;
  return { test, words: reader.words, fault: reader.fault };
}

class Reader<T> {
  readonly words: string[] = [];
  private at = 0;
  private depth = 0;
  private denied = false;

  constructor(
    private readonly list: Token[],
    private readonly language: Language<T>,
    public fault: Fault | undefined,
  ) {}

  /** Alternatives, up to the end or a closing parenthesis. */
  any(): Test<T> {
    const parts: Test<T>[] = [this.all()];
    for (;;) {
      const token = this.list[this.at];
      if (!token) break;
      if (token.kind === 'or') {
        this.at += 1;
        parts.push(this.all());
      } else if (token.kind === ')' && this.depth === 0) {
        this.wrong('parenthesis', ')');
        this.at += 1;
        parts.push(this.both(parts.pop() ?? yes, this.all()));
      } else break;
    }
    return parts.length === 1 ? (parts[0] ?? yes) : (row) => parts.some((part) => part(row));
  }

  private both(a: Test<T>, b: Test<T>): Test<T> {
    return (row) => a(row) && b(row);
  }

  private all(): Test<T> {
    const parts: Test<T>[] = [];
    for (;;) {
      const token = this.list[this.at];
      if (!token || token.kind === 'or' || token.kind === ')') break;
      parts.push(this.one(token));
    }
    return (row) => parts.every((part) => part(row));
  }

  private one(token: Token): Test<T> {
    this.at += 1;
    if (token.kind === 'not') {
      const next = this.list[this.at];
      if (!next) return yes;
      const before = this.denied;
      this.denied = !before;
      const test = this.one(next);
      this.denied = before;
      return (row) => !test(row);
    }
    if (token.kind === '(') {
      this.depth += 1;
      const test = this.any();
      this.depth -= 1;
      if (this.list[this.at]?.kind === ')') this.at += 1;
      else this.wrong('parenthesis', '(');
      return test;
    }
    return token.kind === 'term' ? this.term(token) : yes;
  }

  private term({ field: name, values, text }: Extract<Token, { kind: 'term' }>): Test<T> {
    if (name === undefined) return this.word(values[0] ?? '');
    const field = Object.hasOwn(this.language.fields, name) ? this.language.fields[name] : undefined;
    if (!field) {
      this.wrong('field', name);
      return this.word(text.toLowerCase());
    }
    if (values.length === 0) {
      // Still being typed.
      this.wrong('empty', name);
      return yes;
    }
    const known = field.closed ? field.values([]) : undefined;
    const stranger = known && values.find((value) => !known.includes(value));
    if (stranger !== undefined) this.wrong('value', `${name}:${stranger}`);
    return (row) => values.some((value) => field.test(row, value));
  }

  private word(word: string): Test<T> {
    if (word === '') return yes;
    if (!this.denied) this.words.push(word);
    return (row) => this.language.text(row).includes(word);
  }

  private wrong(kind: Fault['kind'], text: string): void {
    this.fault ??= { kind, text };
  }
}

function yes(): boolean {
  return true;
}

/** What may stand where the caret is: each replaces `from..to` of the line. */
export interface Completion {
  from: number;
  to: number;
  items: string[];
}

const OFFERED = 8;

/** What could be meant by the part before the caret. */
export function complete<T>(line: string, caret: number, language: Language<T>, rows: readonly T[]): Completion {
  const [start = ''] = /(?:[^\s()"|]|"[^"]*"?)*$/.exec(line.slice(0, caret)) ?? [];
  const bare = start.replace(/^-/, '');
  const [, name = '', value] = /^([a-z]+):(.*)$/s.exec(bare) ?? [];
  const field = Object.hasOwn(language.fields, name) ? language.fields[name] : undefined;
  const none = { from: caret, to: caret, items: [] };
  if (field && value !== undefined) {
    const last = value.slice(value.lastIndexOf(',') + 1).replace(/^"/, '').toLowerCase();
    const items = [...new Set(field.values(rows))]
      .filter((item) => item.toLowerCase().startsWith(last) && item.toLowerCase() !== last)
      .slice(0, OFFERED)
      .map((item) => (/[\s,()|]/.test(item) ? `"${item}"` : item));
    const written = value.length - (value.lastIndexOf(',') + 1);
    return { from: caret - written, to: caret, items };
  }
  if (bare === '' || bare.includes('"')) return none;
  const items = Object.keys(language.fields)
    .filter((key) => key.startsWith(bare))
    .map((key) => `${key}:`);
  return { from: caret - bare.length, to: caret, items };
}

/** A text in pieces, those that match a word marked. */
export function marked(text: string, words: readonly string[]): { text: string; hit: boolean }[] {
  const wanted = words.filter(Boolean).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  if (wanted.length === 0) return [{ text, hit: false }];
  return text
    .split(new RegExp(`(${wanted.join('|')})`, 'i'))
    .map((piece, i) => ({ text: piece, hit: i % 2 === 1 }))
    .filter((piece) => piece.text !== '');
}
