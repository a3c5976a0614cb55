// A menu of actions behind a button.
import * as Primitive from '@radix-ui/react-dropdown-menu';
import { type ReactNode, useState } from 'react';
import css from './menu.module.css';

export interface MenuItem {
  text: ReactNode;
  icon?: ReactNode;
  onSelect: () => void;
  danger?: boolean;
  disabled?: boolean;
  /** Set for a choice of one out of several. */
  checked?: boolean;
}

export function Menu({
  trigger,
  heading,
  groups,
}: {
  trigger: ReactNode;
  heading?: ReactNode;
  groups: MenuItem[][];
}) {
  // Known here so that the portal's place is looked up when it opens, not when the page starts.
  const [open, setOpen] = useState(false);
  return (
    <Primitive.Root modal={false} open={open} onOpenChange={setOpen}>
      <Primitive.Trigger asChild>{trigger}</Primitive.Trigger>
      {/* Inside the main landmark, so that the menu belongs to a region of the page. */}
      <Primitive.Portal container={document.getElementById('main')}>
        <Primitive.Content className={css.menu} align="end" sideOffset={6} collisionPadding={8}>
          {heading && <Primitive.Label className={css.heading}>{heading}</Primitive.Label>}
          {groups
            .filter((items) => items.length > 0)
            .map((items, at) => (
              <Primitive.Group key={at} className={css.group}>
                {items.map((item, i) => (
                  <Item key={i} item={item} />
                ))}
              </Primitive.Group>
            ))}
        </Primitive.Content>
      </Primitive.Portal>
    </Primitive.Root>
  );
}

function Item({ item }: { item: MenuItem }) {
  const className = `${css.item} ${item.danger ? css.danger : ''}`;
  if (item.checked !== undefined) {
    return (
      <Primitive.CheckboxItem className={className} checked={item.checked} onSelect={item.onSelect}>
        <span className={css.icon}>
          <Primitive.ItemIndicator>✓</Primitive.ItemIndicator>
        </span>
        {item.text}
      </Primitive.CheckboxItem>
    );
  }
  return (
    <Primitive.Item className={className} disabled={item.disabled ?? false} onSelect={item.onSelect}>
      <span className={css.icon}>{item.icon}</span>
      {item.text}
    </Primitive.Item>
  );
}
