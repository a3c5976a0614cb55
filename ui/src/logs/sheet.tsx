// Tools from the lower edge of a phone's window.
import { type ReactNode, useId, useRef } from 'react';
import { useModal } from '../components/modal';
import { Button } from '../components/ui';
import { say } from '../words';
import css from './tools.module.css';

export function Sheet({ onClose, children }: { onClose: () => void; children: ReactNode }) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useModal(ref);
  return (
    <dialog
      ref={ref}
      className={css.sheet}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === ref.current) onClose();
      }}
    >
      <div className={css.inner}>
        <h2 id={id}>{say('log.tools')}</h2>
        {children}
        <Button kind="primary" onClick={onClose}>
          {say('log.done')}
        </Button>
      </div>
    </dialog>
  );
}
