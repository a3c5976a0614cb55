// A menu of actions behind a button. Its items exist only while it is open: a list has one in each row.
import { type KeyboardEvent, type ReactElement, type ReactNode, type Ref, cloneElement, useEffect, useId, useLayoutEffect, useRef, useState } from 'react';
import { createPortal } from 'react-dom';
import css from './menu.module.css';

export interface MenuItem {
  text: ReactNode;
  icon?: ReactNode;
  onSelect: () => void;
  danger?: boolean;
  disabled?: boolean;
  /** Set for a choice of one out of several. */
  checked?: boolean;
  /** The key that does the same on the row. */
  keys?: string;
}

type Groups = MenuItem[][] | (() => MenuItem[][]);
interface Trigger {
  id?: string;
  ref?: Ref<HTMLButtonElement>;
  onClick?: () => void;
  onKeyDown?: (event: KeyboardEvent) => void;
}

/** From the edge of the window, and from the button. */
const MARGIN_PX = 8;
const GAP_PX = 6;

export function Menu({ trigger, heading, groups }: { trigger: ReactElement; heading?: ReactNode; groups: Groups }) {
  const [open, setOpen] = useState<'first' | 'last'>();
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();
  const close = (focus: boolean) => {
    setOpen(undefined);
    if (focus) button.current?.focus();
  };
  return (
    <>
      {cloneElement(trigger as ReactElement<Trigger & Record<string, unknown>>, {
        id,
        ref: button,
        'aria-haspopup': 'menu',
        'aria-expanded': open !== undefined,
        onClick: () => setOpen(open ? undefined : 'first'),
        onKeyDown: (event: KeyboardEvent) => {
          if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
          event.preventDefault();
          event.stopPropagation();
          setOpen(event.key === 'ArrowDown' ? 'first' : 'last');
        },
      })}
      {open && button.current && (
        <List id={id} anchor={button.current} from={open} heading={heading} groups={groups} onClose={close} />
      )}
    </>
  );
}

/** Where there is room: below the button, above it, or as high as the window allows. */
function place(menu: HTMLElement, anchor: HTMLElement): void {
  const at = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = at.bottom + GAP_PX;
  const above = at.top - GAP_PX - height;
  const top = below + height + MARGIN_PX <= innerHeight ? below : above >= MARGIN_PX ? above : innerHeight - height - MARGIN_PX;
  menu.style.top = `${Math.max(MARGIN_PX, top)}px`;
  menu.style.left = `${Math.max(MARGIN_PX, Math.min(at.right - width, innerWidth - width - MARGIN_PX))}px`;
}

function List({
  id,
  anchor,
  from,
  heading,
  groups,
  onClose,
}: {
  id: string;
  anchor: HTMLElement;
  from: 'first' | 'last';
  heading: ReactNode;
  groups: Groups;
  onClose: (focus: boolean) => void;
}) {
  const menu = useRef<HTMLDivElement>(null);
  // What can be done is asked once: items that change under the pointer are pressed by mistake.
  const [shown] = useState(() => (typeof groups === 'function' ? groups() : groups).filter((items) => items.length > 0));
  const items = () => [...(menu.current?.querySelectorAll<HTMLElement>('[role^=menuitem]') ?? [])];

  useLayoutEffect(() => {
    const box = menu.current;
    if (!box) return;
    const follow = () => place(box, anchor);
    follow();
    items().at(from === 'first' ? 0 : -1)?.focus({ preventScroll: true });
    window.addEventListener('scroll', follow, { capture: true, passive: true });
    window.addEventListener('resize', follow);
    return () => {
      window.removeEventListener('scroll', follow, { capture: true });
      window.removeEventListener('resize', follow);
    };
  }, [anchor, from]);

  const closing = useRef(onClose);
  closing.current = onClose;
  useEffect(() => {
    const outside = (event: Event) => {
      const target = event.target as Node;
      if (!menu.current?.contains(target) && !anchor.contains(target)) closing.current(false);
    };
    document.addEventListener('pointerdown', outside, true);
    return () => document.removeEventListener('pointerdown', outside, true);
  }, [anchor]);

  const key = (event: KeyboardEvent) => {
    const all = items();
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to = nextItem(event.key, at, all);
    if (event.key === 'Escape') onClose(true);
    else if (event.key === 'Tab') onClose(true);
    else if (to !== undefined) all[to]?.focus();
    else if (event.key !== 'Enter' && event.key !== ' ') return;
    else (document.activeElement as HTMLElement).click();
    event.preventDefault();
    event.stopPropagation();
  };

  const choose = (item: MenuItem) => {
    if (item.disabled) return;
    // The button has the focus first, so that a question which opens gives it back there.
    onClose(true);
    item.onSelect();
  };

  // Inside the main landmark, or the dialog it belongs to: outside of a dialog nothing can be pressed.
  const home = anchor.closest('dialog') ?? document.getElementById('main') ?? document.body;
  return createPortal(
    <div ref={menu} role="menu" aria-labelledby={id} tabIndex={-1} className={css.menu} onKeyDown={key}>
      {heading && <div className={css.heading}>{heading}</div>}
      {shown.map((group, at) => (
        <div key={at} role="group" className={css.group}>
          {group.map((item, i) => (
            <Item key={i} item={item} onChoose={() => choose(item)} />
          ))}
        </div>
      ))}
    </div>,
    home,
  );
}

/** The item a key leads to: by arrows, to an end, or by its first letter. */
function nextItem(key: string, at: number, all: HTMLElement[]): number | undefined {
  if (key === 'ArrowDown') return (at + 1) % all.length;
  if (key === 'ArrowUp') return (at - 1 + all.length) % all.length;
  if (key === 'Home') return 0;
  if (key === 'End') return all.length - 1;
  if (key.length !== 1 || key === ' ') return undefined;
  const starts = (item: HTMLElement) => item.textContent?.toLowerCase().startsWith(key.toLowerCase());
  const after = all.findIndex((item, i) => i > at && starts(item));
  const found = after >= 0 ? after : all.findIndex(starts);
  return found >= 0 ? found : undefined;
}

function Item({ item, onChoose }: { item: MenuItem; onChoose: () => void }) {
  const choice = item.checked !== undefined;
  return (
    <div
      role={choice ? 'menuitemcheckbox' : 'menuitem'}
      aria-checked={choice ? item.checked : undefined}
      aria-disabled={item.disabled || undefined}
      aria-keyshortcuts={item.keys}
      tabIndex={-1}
      className={`${css.item} ${item.danger ? css.danger : ''}`}
      onClick={onChoose}
      onPointerMove={(event) => event.currentTarget.focus({ preventScroll: true })}
    >
      <span className={css.icon}>{choice ? item.checked && '✓' : item.icon}</span>
      <span className={css.text}>{item.text}</span>
      {item.keys && (
        <kbd className={css.keys} aria-hidden="true">
          {item.keys}
        </kbd>
      )}
    </div>
  );
}
