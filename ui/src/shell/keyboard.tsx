// What the keys do, everywhere and in a list.
import { Dialog } from '../components/dialog';
import { Button } from '../components/ui';
import { VIEWS } from '../lib/views';
import { say } from '../words';
import css from './palette.module.css';

type Rows = [keys: string, what: string][];

const everywhere = (): Rows => [
  ['Ctrl K', say('key.search')],
  ['g d', say('nav.dashboard')],
  ['g s', say('nav.services')],
  ['g n', say('nav.nodes')],
  ['g v', say('nav.volumes')],
  ['g a', say('nav.activity')],
  ['g e', say('nav.efficiency')],
  ['g c', say('nav.cluster')],
  ['/', say('key.filter')],
  ['t', say('key.clock')],
  ['?', say('key.help')],
  ['Esc', say('dialog.close')],
];

const list = (): Rows => [
  ['j k ↑ ↓', say('key.rows')],
  ['← →', say('key.inRow')],
  ['Enter', say('key.open')],
  ['Space', say('key.select')],
  ['Shift Space', say('key.range')],
  ...VIEWS.map(({ key, about }): [string, string] => [key, say(about)]),
  ['s', say('key.scale')],
  ['r', say('key.restart')],
  ['d', say('key.delete')],
  ['p', say('layout.panel')],
  ['x', say('key.shell')],
  ['f', say('key.files')],
  ['F6', say('key.dock')],
];

const logs = (): Rows => [
  ['n Shift n', say('log.key.hits')],
  ['j k', say('log.key.lines')],
  ['z', say('log.key.context')],
  ['y', say('log.key.link')],
];

export default function Keyboard({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title={say('user.keyboard')} onClose={onClose} actions={<Button onClick={onClose}>{say('dialog.close')}</Button>}>
      <Keys rows={everywhere()} />
      <h3 className={css.group}>{say('key.inList')}</h3>
      <Keys rows={list()} />
      <h3 className={css.group}>{say('log.keys')}</h3>
      <Keys rows={logs()} />
    </Dialog>
  );
}

function Keys({ rows }: { rows: Rows }) {
  return (
    <dl className={css.keys}>
      {rows.map(([keys, what]) => (
        <div key={keys}>
          <dt>
            <kbd>{keys}</kbd>
          </dt>
          <dd>{what}</dd>
        </div>
      ))}
    </dl>
  );
}
