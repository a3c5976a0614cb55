// German: what the views of a service are called where a key or a word opens them.
export const views = {
  'key.activity': 'Verlauf',
  'key.versions': 'Versionen',
};
