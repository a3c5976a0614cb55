// English: what the views of a service are called where a key or a word opens them, and what they tell.
export const views = {
  'key.activity': 'Activity',
  'key.versions': 'Versions',
  'view.lastLines': 'The last that attempt {n} wrote:',
  'view.attempts': 'all attempts',
  'view.heldBack': 'ended, its next start is held back',
  'view.volumes': 'Persistent volumes',
  'view.isThere': 'A service of this name is there already.',
  'view.changeIt': 'Change it to this…',
} as const;
