// Texts in which elements stand, and those that the server says.
import { Fragment, type ReactNode } from 'react';
import { wording } from '../api/client';
import { humanise } from '../lib/format';
import { capital } from '../lib/status';
import { type Key, pieces, type ValuesOf } from '../words';

/** A text of the page with elements in the places of its values. */
export function said<K extends Key>(key: K, values: ValuesOf<K, ReactNode>): ReactNode {
  // A text's places are what they are known by.
  return pieces(key, values).map((piece, at) => <Fragment key={`${at}`}>{piece}</Fragment>);
}

/** What went wrong, by the server's words or the page's own. */
export function Wrong({ error, className }: { error: unknown; className?: string | undefined }) {
  const { text, lang } = wording(error);
  return (
    <span lang={lang} className={className}>
      {text}
    </span>
  );
}

/** What the server says. It speaks English whatever the page does, and a voice that reads it has to know. */
export function Told({
  text,
  capital: first,
  hover,
  className,
}: {
  text: string;
  /** It begins a line. */
  capital?: boolean;
  /** It may be cut off, and is told whole on hover. */
  hover?: boolean;
  className?: string | undefined;
}) {
  const told = first ? capital(humanise(text)) : humanise(text);
  return (
    <span lang="en" className={className} title={hover ? told : undefined}>
      {told}
    </span>
  );
}
