// The user's menu: theme, language, clock, keys, sign out.
import { Keyboard, LogOut, UsersRound } from 'lucide-react';
import type { ReactElement } from 'react';
import { api, reportSessionLost } from '../api/client';
import type { Me } from '../api/types';
import { Menu } from '../components/menu';
import { toast } from '../components/toast';
import { type Clock, clock } from '../lib/time';
import { useStored } from '../lib/stored';
import { choose, currentLanguage, LANGUAGES, type Language, say } from '../words';
import { applyTheme, currentTheme, type Theme } from './theme';

export async function signOut(): Promise<void> {
  // Even when the server cannot be told, this page must not go on as if signed in.
  await api.signOut().catch(() => undefined);
  reportSessionLost();
}

/** Another language; without its file the present one stays, and that is said. */
export async function speak(language: Language): Promise<void> {
  await choose(language).catch(() => toast(say('language.failed', { name: LANGUAGES[language] }), true));
}

export function UserMenu({
  me,
  onUsers,
  onKeyboard,
  children,
}: {
  me: Me;
  onUsers: () => void;
  onKeyboard: () => void;
  children: ReactElement;
}) {
  const times = useStored(clock);
  const themes: [Theme, string][] = [
    ['system', say('theme.system')],
    ['light', say('theme.light')],
    ['dark', say('theme.dark')],
  ];
  const clocks: [Clock, string][] = [
    ['relative', say('clock.relative')],
    ['local', say('clock.local')],
    ['utc', say('clock.utc')],
  ];
  return (
    <Menu
      trigger={children}
      heading={me.description && me.description !== me.uid ? `${me.description} (${me.uid})` : say('user.signedIn', { name: me.uid })}
      groups={() => [
        themes.map(([theme, text]) => ({ text, checked: currentTheme() === theme, onSelect: () => applyTheme(theme) })),
        clocks.map(([by, text]) => ({ text, checked: times === by, onSelect: () => clock.put(by) })),
        (Object.keys(LANGUAGES) as Language[]).map((language) => ({
          text: <span lang={language}>{LANGUAGES[language]}</span>,
          checked: currentLanguage() === language,
          onSelect: () => void speak(language),
        })),
        [
          // Others may not even see who there is.
          ...(me.superuser ? [{ text: say('nav.users'), icon: <UsersRound size={15} />, onSelect: onUsers }] : []),
          { text: say('user.keyboard'), icon: <Keyboard size={15} />, keys: '?', onSelect: onKeyboard },
        ],
        [{ text: say('user.signOut'), icon: <LogOut size={15} />, onSelect: () => void signOut() }],
      ]}
    />
  );
}
