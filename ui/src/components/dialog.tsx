// A modal question on the browser's own <dialog>: it traps focus, makes the rest inert, closes on
// Escape and gives the focus back.
import { type ReactNode, useId, useRef } from 'react';
import css from './dialog.module.css';
import { useModal } from './modal';

interface Props {
  title: string;
  onClose: () => void;
  children: ReactNode;
}

export function Dialog({ actions, wide, children, ...rest }: Props & { actions?: ReactNode; wide?: boolean }) {
  return (
    <Modal {...rest} className={`${css.dialog} ${wide ? css.wide : ''}`} inner={css.inner}>
      {children}
      {actions && <div className={css.actions}>{actions}</div>}
    </Modal>
  );
}

/** What every such question has in common; how it looks and where it stands is its own. */
export function Modal({
  title,
  onClose,
  children,
  className,
  inner,
}: Props & { className: string | undefined; inner: string | undefined }) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useModal(ref);
  return (
    <dialog
      ref={ref}
      className={className}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === ref.current) onClose();
      }}
    >
      <div className={inner}>
        <h2 id={id}>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}
