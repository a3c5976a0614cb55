// What can be done with the line the reader is at.
import { Copy, Link2, UnfoldVertical } from 'lucide-react';
import { Button } from '../components/ui';
import { say } from '../words';
import css from './screen.module.css';

interface Props {
  name: string;
  /** Whether what is around it is shown; nothing where that cannot be. */
  context: boolean | undefined;
  onContext: () => void;
  onLink: (() => void) | undefined;
  onCopy: () => void;
}

export function LineTools({ name, context, onContext, onLink, onCopy }: Props) {
  const around = say(context ? 'log.noContext' : 'log.context');
  return (
    <div className={css.lineTools} role="toolbar" aria-label={say('log.line', { name })}>
      {context !== undefined && (
        <Button kind="quiet" aria-pressed={context} aria-label={around} title={around} aria-keyshortcuts="Z" onClick={onContext}>
          <UnfoldVertical size={15} aria-hidden />
        </Button>
      )}
      {onLink && (
        <Button kind="quiet" aria-label={say('log.copyLink')} title={say('log.copyLink')} aria-keyshortcuts="Y" onClick={onLink}>
          <Link2 size={15} aria-hidden />
        </Button>
      )}
      <Button kind="quiet" aria-label={say('log.copyLine')} title={say('log.copyLine')} onClick={onCopy}>
        <Copy size={15} aria-hidden />
      </Button>
    </div>
  );
}
