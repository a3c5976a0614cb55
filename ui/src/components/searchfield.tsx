// Where a regular expression is typed. It is looked for when the typing rests; Enter goes from match to match.
import { useEffect, useRef, useState } from 'react';
import { say } from '../words';

const TYPING_MS = 300;

interface Props {
  value: string;
  onChange: (text: string) => void;
  onHit: (step: 1 | -1) => void;
}

export function SearchField({ value, onChange, onHit }: Props) {
  const [text, setText] = useState(value);
  const told = useRef(onChange);
  told.current = onChange;
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => told.current(text), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text, value]);
  return (
    <input
      type="text"
      value={text}
      spellCheck={false}
      autoCapitalize="off"
      autoComplete="off"
      onChange={(event) => setText(event.target.value)}
      onKeyDown={(event) => {
        if (event.key === 'Escape' && text) {
          event.preventDefault();
          setText('');
          return;
        }
        if (event.key !== 'Enter') return;
        event.preventDefault();
        if (text === value) onHit(event.shiftKey ? -1 : 1);
        else onChange(text);
      }}
      placeholder={say('log.searchHint')}
      aria-label={say('log.search')}
    />
  );
}
