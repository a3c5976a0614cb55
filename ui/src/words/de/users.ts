// German: who may sign in.
import type { Catalog } from '../index';
import type { users as english } from '../en/users';

export const users: Catalog<typeof english> = {
  'nav.users': 'Benutzer',
  'users.about': 'Wer sich anmelden darf.',
  'users.uid': 'Benutzername',
  'users.kind': 'Art',
  'users.person': 'Mensch',
  'users.service': 'Dienstkonto',
  'users.description': 'Beschreibung',
  'users.none': 'Niemand darf sich anmelden',
  'users.add': 'Benutzer hinzufügen',
  'users.addAbout': 'Wer hier dazukommt, ist Superuser und darf alles.',
  'users.added': '{uid} ist dazugekommen',
  'users.uidWrong': 'Nur Buchstaben, Ziffern und -_@., höchstens 96',
  'users.password': 'Passwort',
  'users.password…': 'Anderes Passwort…',
  'users.passwordTitle': 'Anderes Passwort für {uid}',
  'users.passwordSet': 'Passwort setzen',
  'users.passwordDone': '{uid} hat ein anderes Passwort',
  'users.passwordAbout': 'Wer mit dem vorigen angemeldet ist, muss sich neu anmelden.',
  'users.passwordShort': 'Mindestens {n} Zeichen',
  'users.removeAbout': 'Endet sofort, mit jeder Sitzung, die es gibt.',
};
