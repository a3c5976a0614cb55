// Files of an instance: folders with sizes, and one file (`preview.tsx`). What has ended is shown for as long
// as its node keeps it.
import { useQuery } from '@tanstack/react-query';
import { File, Folder, RefreshCw } from 'lucide-react';
import { useState } from 'react';
import { api } from '../api/client';
import type { FileEntry } from '../api/types';
import { Age, Failure } from '../components/ui';
import { visible } from '../lib/ansi';
import { bytes } from '../lib/format';
import { say } from '../words';
import type { Tab } from './dock';
import css from './dock.module.css';
import { Preview } from './preview';

export default function Files({ tab }: { tab: Tab }) {
  const [path, setPath] = useState('');
  const [file, setFile] = useState<FileEntry>();
  const folder = useQuery({
    queryKey: ['files', tab.task, path],
    queryFn: ({ signal }) => api.files(tab.task, path, signal),
  });
  const enter = (next: string) => {
    setPath(next);
    setFile(undefined);
  };
  return (
    <div className={css.files}>
      <div className={css.side}>
        <Path path={path} onEnter={enter} onAgain={() => void folder.refetch()} />
        {folder.isError ? (
          <Failure error={folder.error} retry={() => void folder.refetch()} />
        ) : (
          <ul className={css.entries} aria-label={path ? say('files.in', { path }) : say('files.inSandbox')}>
            {folder.data?.entries.map((entry) => (
              <li key={entry.path}>
                <Entry
                  entry={entry}
                  current={file?.path === entry.path}
                  onOpen={() => (entry.directory ? enter(entry.path) : setFile(entry))}
                />
              </li>
            ))}
            {folder.data?.entries.length === 0 && <li className={css.none}>{say('files.none')}</li>}
          </ul>
        )}
      </div>
      <div className={css.view}>
        {file ? (
          <Preview key={file.path} task={tab.task} file={file} />
        ) : (
          <p className={css.none}>{say('files.choose')}</p>
        )}
      </div>
    </div>
  );
}

function Path({ path, onEnter, onAgain }: { path: string; onEnter: (path: string) => void; onAgain: () => void }) {
  const parts = path.split('/').filter(Boolean);
  return (
    <nav className={css.path} aria-label={say('files.folder')}>
      <button type="button" onClick={() => onEnter('')} aria-current={parts.length === 0 ? 'location' : undefined}>
        {say('files.sandbox')}
      </button>
      {parts.map((part, i) => (
        <span key={i}>
          <span className="muted" aria-hidden="true">
            /
          </span>
          <button
            type="button"
            onClick={() => onEnter(parts.slice(0, i + 1).join('/'))}
            aria-current={i === parts.length - 1 ? 'location' : undefined}
          >
            {visible(part)}
          </button>
        </span>
      ))}
      <button type="button" className={css.tool} onClick={onAgain} aria-label={say('files.again')} title={say('files.again')}>
        <RefreshCw size={14} aria-hidden />
      </button>
    </nav>
  );
}

function Entry({ entry, current, onOpen }: { entry: FileEntry; current: boolean; onOpen: () => void }) {
  const Icon = entry.directory ? Folder : File;
  return (
    <button type="button" className={css.entry} onClick={onOpen} aria-current={current || undefined}>
      <Icon size={15} aria-hidden />
      <span className={css.name} title={`${visible(entry.name)}\n${entry.mode} ${entry.uid}:${entry.gid}`}>
        {visible(entry.name)}
        {entry.directory && '/'}
      </span>
      <span className={css.note}>{entry.directory ? '' : bytes(entry.size_bytes)}</span>
      <span className={`${css.note} ${css.time}`}>
        <Age at={entry.modified_at} />
      </span>
    </button>
  );
}
