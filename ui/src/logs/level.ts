// How grave a line is, guessed by its own words: programs say it in a hundred ways.

export const LEVELS = ['error', 'warn', 'info', 'debug', 'other'] as const;
export type Level = (typeof LEVELS)[number];

/** Where a program says it: near the beginning. */
const HEAD = 240;

const WORDS: Record<string, Level> = {
  emerg: 'error', emergency: 'error', alert: 'error', crit: 'error', critical: 'error', fatal: 'error', panic: 'error',
  severe: 'error', error: 'error', err: 'error', eror: 'error',
  warn: 'warn', warning: 'warn', wrn: 'warn',
  info: 'info', information: 'info', inf: 'info', notice: 'info', log: 'info',
  debug: 'debug', dbg: 'debug', trace: 'debug', trc: 'debug', verbose: 'debug', fine: 'debug',
};
const LETTERS: Record<string, Level> = { F: 'error', E: 'error', W: 'warn', I: 'info', D: 'debug', V: 'debug' };

/** `"level":"error"`, `level=warn`, `severity: INFO`; of some a number. */
const FIELD = /["']?\b(?:level|lvl|severity|loglevel|levelname)["']?\s*[:=]\s*["']?([a-z]+|\d{2})\b/i;
/** `E1128 23:00:01.123456`, `W/Tag:`. */
const LETTER = /^(?:([FEWID])\d{4} \d\d:|([FEWIDV])\/\w)/;
/** A word that stands for a level by the way it is written: `ERROR`, `[warn]`, `<info>`, `error:`. */
const WRITTEN =
  /\b(EMERG|ALERT|CRIT|CRITICAL|FATAL|PANIC|SEVERE|ERROR|ERR|WARN|WARNING|WRN|INFO|INF|NOTICE|DEBUG|DBG|TRACE|VERBOSE)\b|[[(<|]\s*([a-z]{3,11})\s*[\])>|]|(?:^|[\s\]])([a-z]{3,11}):(?=\s|$)/gi;
/** What nobody says who is well. */
const TROUBLE = /\b(?:[a-z]*exception|traceback|panicked|segmentation fault|out of memory)\b|\berror\b/i;
const NO_TROUBLE = /\b(?:no|0|zero|without|any)\s+(?:[a-z]+\s+)?(?:error|exception)s?\b/i;
const DOUBT = /\b(?:warning|deprecated)\b/i;

function byNumber(text: string): Level {
  const number = Number(text);
  return number >= 50 ? 'error' : number >= 40 ? 'warn' : number >= 30 ? 'info' : 'debug';
}

function byWriting(head: string): Level | undefined {
  for (const [, shout, framed, before] of head.matchAll(WRITTEN)) {
    // Loud only where it is written in capitals: "an error" is a word like any other.
    if (shout && shout === shout.toUpperCase()) return WORDS[shout.toLowerCase()];
    const quiet = WORDS[(framed ?? before ?? '').toLowerCase()];
    if (quiet) return quiet;
  }
  return undefined;
}

/** The level of a line without its colours. */
export function levelOf(text: string): Level {
  const head = text.length > HEAD ? text.slice(0, HEAD) : text;
  const field = FIELD.exec(head)?.[1];
  if (field) {
    const known = /^\d/.test(field) ? byNumber(field) : WORDS[field.toLowerCase()];
    if (known) return known;
  }
  const letter = LETTER.exec(head);
  const known = letter ? LETTERS[letter[1] ?? letter[2] ?? ''] : byWriting(head);
  if (known) return known;
  if (TROUBLE.test(head) && !NO_TROUBLE.test(head)) return 'error';
  return DOUBT.test(head) ? 'warn' : 'other';
}
