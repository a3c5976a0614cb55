// Status shapes: 12 px, told apart without colour.
import type { JSX } from 'react';
import type { Look, Shape } from '../lib/status';
import css from './status.module.css';

const PATHS: Record<Shape, JSX.Element> = {
  check: (
    <>
      <circle cx="6" cy="6" r="6" fill="currentColor" />
      <path d="M3.2 6.2 5.2 8.2 8.9 4" stroke="var(--cut)" />
    </>
  ),
  ring: <path className={css.turn} data-moving d="M6 1a5 5 0 1 1-5 5" stroke="currentColor" strokeWidth="2" />,
  hourglass: (
    <path d="M2 .8h8v.9c0 2-1.3 3.3-2.6 4.3C8.7 7 10 8.3 10 10.3v.9H2v-.9c0-2 1.3-3.3 2.6-4.3C3.3 5 2 3.7 2 1.7z" fill="currentColor" />
  ),
  triangle: (
    <>
      <path d="M6 .6 11.9 11.3H.1z" fill="currentColor" stroke="none" />
      <path d="M6 4.4v3M6 9.1v.2" stroke="var(--cut)" />
    </>
  ),
  octagon: (
    <>
      <path d="M3.6 0h4.8L12 3.6v4.8L8.4 12H3.6L0 8.4V3.6z" fill="currentColor" />
      <path d="m4 4 4 4M8 4 4 8" stroke="var(--cut)" />
    </>
  ),
  square: <rect x="1" y="1" width="10" height="10" rx="1.5" fill="currentColor" />,
  diamond: (
    <>
      <path d="M6 .8 11.2 6 6 11.2.8 6z" stroke="currentColor" strokeWidth="1.3" strokeDasharray="2 1.2" />
      <path d="M4.9 5c0-1.5 2.2-1.4 2.2 0C7.1 5.9 6 5.9 6 7M6 8.3v.1" stroke="currentColor" strokeWidth="1.1" />
    </>
  ),
  outline: (
    <>
      <circle cx="6" cy="6" r="5.2" stroke="currentColor" strokeWidth="1.4" />
      <path d="M3.6 6.1 5.3 7.8 8.4 4.4" stroke="currentColor" strokeWidth="1.4" />
    </>
  ),
};

/** The shape alone; the word must stand beside it or in `label`. */
export function Mark({ look, label, size = 12 }: { look: Look; label?: string; size?: number }) {
  return (
    <svg
      data-state
      className={`${css.mark} ${css[look.tone]}`}
      width={size}
      height={size}
      viewBox="0 0 12 12"
      fill="none"
      strokeWidth="1.6"
      strokeLinecap="round"
      strokeLinejoin="round"
      {...(label ? { role: 'img', 'aria-label': label } : { 'aria-hidden': true })}
    >
      {PATHS[look.shape]}
    </svg>
  );
}

export function StatusLabel({ look, large }: { look: Look; large?: boolean }) {
  return (
    <span className={`${css.label} ${large ? css.large : ''}`}>
      <Mark look={look} size={large ? 16 : 12} />
      <span>{look.word}</span>
    </span>
  );
}
