// What the keys do.
import { Dialog } from '../components/dialog';
import { Button } from '../components/ui';
import css from './palette.module.css';

const KEYS: [string, string][] = [
  ['Ctrl K', 'Search services and nodes'],
  ['g d', 'Dashboard'],
  ['g s', 'Services'],
  ['g n', 'Nodes'],
  ['/', 'Filter the list'],
  ['?', 'This help'],
  ['Esc', 'Close'],
];

export default function Keyboard({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard" onClose={onClose} actions={<Button onClick={onClose}>Close</Button>}>
      <dl className={css.keys}>
        {KEYS.map(([keys, what]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
