// English of the editor: taken in with it, by whatever is the first to load a part of it. Other languages are
// whole as they are fetched.
import { compose } from './en/compose';
import { edit } from './en/edit';
import { form } from './en/form';
import { learn } from './index';

export const late = { ...compose, ...edit, ...form } as const;
learn(late);
