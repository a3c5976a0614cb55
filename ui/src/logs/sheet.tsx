// Tools from the lower edge of a phone's window.
import type { ReactNode } from 'react';
import { Modal } from '../components/dialog';
import { Button } from '../components/ui';
import { say } from '../words';
import css from './tools.module.css';

export function Sheet({ onClose, children }: { onClose: () => void; children: ReactNode }) {
  return (
    <Modal title={say('log.tools')} onClose={onClose} className={css.sheet} inner={css.inner}>
      {children}
      <Button kind="primary" onClick={onClose}>
        {say('log.done')}
      </Button>
    </Modal>
  );
}
