// Files of an instance: folders with sizes, the text of a file or its end as it grows, downloads. What
// has ended is shown for as long as its node keeps it.
import { useQuery } from '@tanstack/react-query';
import { Download, File, Folder, RefreshCw } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { ApiError, api } from '../api/client';
import type { FileEntry } from '../api/types';
import { Age, Button, Failure } from '../components/ui';
import { visible } from '../lib/ansi';
import { bytes } from '../lib/format';
import { say } from '../words';
import type { Tab } from './dock';
import css from './dock.module.css';

/** What is read of a file: its beginning, or its end. */
const PREVIEW_BYTES = 128 * 1024;
/** How often a file whose end is watched is looked at. */
const LOOK_MS = 1_500;

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

/** Whether a text is none: of bytes that stand for no characters a reader has nothing. */
function binary(text: string): boolean {
  return /\u0000/.test(text.slice(0, 8_192)) || (text.match(/\ufffd/g)?.length ?? 0) > text.length / 20;
}

function Preview({ task, file }: { task: string; file: FileEntry }) {
  const [tail, setTail] = useState(false);
  const piece = useQuery({
    queryKey: ['file', task, file.path, tail],
    queryFn: ({ signal }) => api.piece(task, file.path, tail ? -PREVIEW_BYTES : 0, PREVIEW_BYTES, signal),
    refetchInterval: tail ? LOOK_MS : false,
  });
  const box = useRef<HTMLPreElement>(null);
  const data = piece.data;
  useEffect(() => {
    if (tail && box.current && data) box.current.scrollTop = box.current.scrollHeight;
  }, [tail, data]);
  const denied = piece.error instanceof ApiError;
  return (
    <>
      <div className={css.viewBar}>
        <code title={visible(file.path)}>{visible(file.name)}</code>
        <Button kind="quiet" aria-pressed={tail} onClick={() => setTail(!tail)}>
          {tail ? say('files.follows') : say('files.follow')}
        </Button>
        <a
          className={css.link}
          href={api.downloadPath(task, file.path)}
          download={file.name}
          aria-label={say('files.downloadOf', { name: visible(file.name), size: bytes(file.size_bytes) })}
          title={say('files.download', { size: bytes(file.size_bytes) })}
        >
          <Download size={16} aria-hidden />
        </a>
      </div>
      {denied && <Failure error={piece.error} retry={() => void piece.refetch()} />}
      {data && binary(data.data) && <p className={css.none}>{say('files.binary')}</p>}
      {data && !binary(data.data) && (
        <pre className={css.text} ref={box} tabIndex={0} aria-label={say('files.content', { name: visible(file.name) })}>
          {data.offset > 0 && <span className="muted">{`${say('files.before', { size: bytes(data.offset) })}\n`}</span>}
          {visible(data.data)}
          {!tail && data.eof !== true && (
            <span className="muted">{`\n${say('files.more', { size: bytes(PREVIEW_BYTES) })}`}</span>
          )}
          {data.data === '' && <span className="muted">{say('files.empty')}</span>}
        </pre>
      )}
    </>
  );
}
