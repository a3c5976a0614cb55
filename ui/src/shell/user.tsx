// The user's menu: theme, keys, sign out.
import { Keyboard, LogOut } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { api, reportSessionLost } from '../api/client';
import type { Me } from '../api/types';
import { Menu } from '../components/menu';

type Theme = 'system' | 'light' | 'dark';
/** The same name is read by the script in index.html before the first paint. */
const KEY = 'tepui.theme';

function storedTheme(): Theme {
  const theme = document.documentElement.dataset.theme;
  return theme === 'light' || theme === 'dark' ? theme : 'system';
}

function applyTheme(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    if (theme === 'system') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // Without storage the choice lasts for this page.
  }
}

export function UserMenu({
  me,
  onKeyboard,
  children,
}: {
  me: Me;
  onKeyboard: () => void;
  children: ReactNode;
}) {
  const [theme, setTheme] = useState(storedTheme);
  const choose = (next: Theme) => {
    applyTheme(next);
    setTheme(next);
  };
  const signOut = async () => {
    // Even when the server cannot be told, this page must not go on as if signed in.
    await api.signOut().catch(() => undefined);
    reportSessionLost();
  };
  return (
    <Menu
      trigger={children}
      heading={me.description && me.description !== me.uid ? `${me.description} (${me.uid})` : `Signed in as ${me.uid}`}
      groups={[
        [
          { text: 'As the system', checked: theme === 'system', onSelect: () => choose('system') },
          { text: 'Light', checked: theme === 'light', onSelect: () => choose('light') },
          { text: 'Dark', checked: theme === 'dark', onSelect: () => choose('dark') },
        ],
        [{ text: 'Keyboard', icon: <Keyboard size={15} />, onSelect: onKeyboard }],
        [{ text: 'Sign out', icon: <LogOut size={15} />, onSelect: () => void signOut() }],
      ]}
    />
  );
}
