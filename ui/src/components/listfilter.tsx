// The filter line inside the panel of a list, with how many rows it finds.
import { type ReactNode, useMemo } from 'react';
import type { Language, Query } from '../lib/query';
import { parse } from '../lib/query';
import { say } from '../words';
import { FilterBox } from './filterbox';
import css from './listfilter.module.css';
import { Button, Empty } from './ui';

interface Words {
  /** Under this name lines are kept. */
  name: string;
  label: string;
  placeholder: string;
  /** What is said when the line finds nothing. */
  none: string;
}

/** The rows that a line finds, and the line to be written; `hidden` while there is nothing worth it. */
export function useListFilter<T>(
  rows: readonly T[],
  language: Language<T>,
  { name, label, placeholder, none }: Words,
  [line, setLine]: readonly [string, (line: string) => void],
  hidden: boolean,
): { found: readonly T[]; query: Query<T>; filter: ReactNode } {
  const query = useMemo(() => parse(line, language), [line, language]);
  const isHidden = hidden && line === '';
  const found = useMemo(() => (isHidden ? rows : rows.filter(query.test)), [rows, query, isHidden]);
  if (isHidden) return { found, query, filter: null };
  const filter = (
    <>
      <div className={css.line}>
        <FilterBox
          label={label}
          placeholder={placeholder}
          query={line}
          onQuery={setLine}
          language={language}
          rows={rows}
          fault={query.fault}
          name={name}
          count={(saved) => rows.filter(parse(saved, language).test).length}
        />
        <span className="muted">{say('instances.found', { n: found.length, of: rows.length })}</span>
      </div>
      {found.length === 0 && <Empty title={none} action={<Button onClick={() => setLine('')}>{say('filter.clear')}</Button>} />}
    </>
  );
  return { found, query, filter };
}
