// The text editor: CodeMirror with what the schema knows. It stands in a shadow root, where its styles
// are sheets of the document and not inline, which the page's policy refuses.
import { autocompletion, type CompletionContext, closeBrackets, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { json } from '@codemirror/lang-json';
import { yaml } from '@codemirror/lang-yaml';
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from '@codemirror/language';
import { type Diagnostic, lintGutter, setDiagnostics } from '@codemirror/lint';
import { Annotation, Compartment, EditorState } from '@codemirror/state';
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  hoverTooltip,
  keymap,
  lineNumbers,
  tooltips,
} from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useRef } from 'react';
import { jsonContext, yamlContext } from './context';
import { pointerOf, wayAt } from './document';
import { boundsOf, fieldsOf, type Schema, schemaAt, wordsOf } from './schema';

/** Something said about a piece of the text. */
export interface Mark {
  from: number;
  to: number;
  severity: 'error' | 'warning';
  message: string;
}

export interface EditorProps {
  language: 'yaml' | 'json';
  label: string;
  text: string;
  readOnly: boolean;
  schema: Schema | undefined;
  marks: Mark[];
  /** A place to go to; another object goes there again. */
  goTo: { at: number } | undefined;
  onChange: (text: string) => void;
}

/** A change that comes from outside of the editor. */
const outside = Annotation.define<boolean>();

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--accent)' },
  { tag: [tags.string, tags.content], color: 'var(--good)' },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: 'var(--memory)' },
  { tag: [tags.comment, tags.lineComment], color: 'var(--muted)', fontStyle: 'italic' },
  { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace], color: 'var(--muted)' },
]);

const look = EditorView.theme({
  '&': { color: 'var(--text)', backgroundColor: 'var(--panel)', fontSize: '13px', minHeight: '420px' },
  '&.cm-focused': { outline: '0' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '20px' },
  '.cm-content': { caretColor: 'var(--text)', padding: '8px 0' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-gutters': { backgroundColor: 'var(--panel)', color: 'var(--muted)', border: '0' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'var(--hover)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    background: 'color-mix(in oklab, var(--accent) 26%, transparent)',
  },
  '.cm-tooltip': {
    backgroundColor: 'var(--raised)',
    color: 'var(--text)',
    border: '1px solid var(--line-strong)',
    borderRadius: '6px',
    boxShadow: 'var(--shadow-high)',
    fontFamily: 'var(--sans)',
    maxWidth: '420px',
  },
  '.cm-tooltip-autocomplete > ul > li': { padding: '3px 8px' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { background: 'var(--accent)', color: 'var(--on-accent)' },
  '.cm-completionInfo': { padding: '8px 10px' },
  '.cm-completionDetail': { fontStyle: 'normal', opacity: '0.85' },
  '.about': { padding: '8px 10px', lineHeight: '18px', fontSize: '13px' },
  '.about code': { fontFamily: 'var(--mono)' },
  '.about p': { margin: '4px 0 0' },
  '.about .bounds': { color: 'var(--muted)' },
  '.cm-diagnostic': { padding: '6px 10px', borderLeft: '0' },
  '.cm-diagnostic-error': { color: 'var(--bad)' },
  '.cm-diagnostic-warning': { color: 'var(--attention)' },
  '.cm-lintRange-error': { backgroundImage: 'none', textDecoration: 'underline wavy var(--bad)' },
  '.cm-lintRange-warning': {
    backgroundImage: 'none',
    textDecoration: 'underline wavy var(--attention)',
    backgroundColor: 'color-mix(in oklab, var(--attention) 18%, transparent)',
  },
});

function about(name: string, schema: Schema): HTMLElement {
  const box = document.createElement('div');
  box.className = 'about';
  const title = box.appendChild(document.createElement('code'));
  title.textContent = name;
  if (schema.description) {
    const words = box.appendChild(document.createElement('p'));
    words.lang = 'en';
    words.textContent = schema.description;
  }
  const bounds = box.appendChild(document.createElement('p'));
  bounds.className = 'bounds';
  bounds.textContent = boundsOf(schema);
  return box;
}

/** What is written for a field that is chosen. */
function written(key: string, schema: Schema, language: 'yaml' | 'json', indent: number): string {
  const pad = ' '.repeat(indent + 2);
  const type = schema.anyOf ? undefined : schema.type;
  if (language === 'json') {
    const value = type === 'object' ? '{}' : type === 'array' ? '[]' : type === 'string' ? '""' : '';
    return `"${key}": ${value}`;
  }
  if (type === 'object') return `${key}:\n${pad}`;
  if (type === 'array') return `${key}:\n${pad}- `;
  return `${key}: `;
}

function complete(language: 'yaml' | 'json', schema: () => Schema | undefined) {
  return (context: CompletionContext) => {
    const root = schema();
    const text = context.state.doc.toString();
    const at = (language === 'yaml' ? yamlContext : jsonContext)(text, context.pos);
    if (!root || !at) return null;
    const node = schemaAt(root, at.way);
    if (at.kind === 'value') {
      const words = wordsOf(node);
      if (words.length === 0) return null;
      const quote = language === 'json' && node?.type === 'string' && text[at.from - 1] !== '"';
      const options = words.map((label) => ({ label, type: 'enum', apply: quote ? `"${label}"` : label }));
      return { from: at.from, options, validFor: /^[\w,/-]*$/ };
    }
    if (at.from === context.pos && !context.explicit) return null;
    const quoted = language === 'json' && text[at.from - 1] === '"';
    const from = quoted ? at.from - 1 : at.from;
    const options = fieldsOf(node).map(([label, below], place) => ({
      label: quoted ? `"${label}` : label,
      displayLabel: label,
      type: 'property',
      detail: boundsOf(below).slice(0, 48),
      info: () => about(label, below),
      boost: below.deprecated ? -99 : -place / 10,
      apply: (view: EditorView, _: unknown, begin: number, end: number) => {
        const insert = written(label, below, language, at.indent);
        // What a closing quote was put for by the editor itself goes with it.
        const to = quoted && view.state.sliceDoc(end, end + 1) === '"' ? end + 1 : end;
        const back = /(\{\}|\[\]|"")$/.test(insert) ? 1 : 0;
        view.dispatch({ changes: { from: begin, to, insert }, selection: { anchor: begin + insert.length - back } });
      },
    }));
    return options.length > 0 ? { from, options, validFor: /^"?[\w-]*$/ } : null;
  };
}

function hover(schema: () => Schema | undefined) {
  return hoverTooltip((view, pos) => {
    const root = schema();
    const found = wayAt(view.state.doc.toString(), pos);
    const node = root && found && schemaAt(root, found.way);
    if (!node || !found) return null;
    const { from, to } = found.range;
    return { pos: from, end: to, above: true, create: () => ({ dom: about(pointerOf(found.way).slice(1).replaceAll('/', '.'), node) }) };
  });
}

/** The least that leads from one text to the other, so that the cursor stays where it is. */
function difference(old: string, next: string) {
  let from = 0;
  while (from < old.length && from < next.length && old[from] === next[from]) from += 1;
  let [oldEnd, newEnd] = [old.length, next.length];
  while (oldEnd > from && newEnd > from && old[oldEnd - 1] === next[newEnd - 1]) {
    oldEnd -= 1;
    newEnd -= 1;
  }
  return { from, to: oldEnd, insert: next.slice(from, newEnd) };
}

export default function Editor(props: EditorProps) {
  const { language, label, text, readOnly, marks, goTo } = props;
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const locked = useRef(new Compartment());

  useEffect(() => {
    const place = host.current;
    if (!place) return;
    const root = place.shadowRoot ?? place.attachShadow({ mode: 'open' });
    const schema = () => latest.current.schema;
    const made = new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        doc: latest.current.text,
        extensions: [
          lineNumbers(),
          lintGutter(),
          history(),
          drawSelection(),
          indentOnInput(),
          bracketMatching(),
          closeBrackets(),
          highlightActiveLine(),
          syntaxHighlighting(colours),
          look,
          language === 'yaml' ? yaml() : json(),
          tooltips({ position: 'fixed' }),
          autocompletion({ override: [complete(language, schema)], icons: false, activateOnTyping: true }),
          hover(schema),
          // Escape, then Tab, leaves the editor.
          keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap, indentWithTab]),
          EditorState.tabSize.of(2),
          EditorView.contentAttributes.of({ 'aria-label': label, spellcheck: 'false', tabindex: '0' }),
          locked.current.of(EditorState.readOnly.of(latest.current.readOnly)),
          EditorView.updateListener.of((update) => {
            if (!update.docChanged || update.transactions.some((it) => it.annotation(outside))) return;
            latest.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = made;
    return () => made.destroy();
  }, [language, label]);

  useEffect(() => {
    const there = view.current?.state.doc.toString();
    if (there === undefined || there === text) return;
    view.current?.dispatch({ changes: difference(there, text), annotations: outside.of(true) });
  }, [text]);

  useEffect(() => {
    view.current?.dispatch({ effects: locked.current.reconfigure(EditorState.readOnly.of(readOnly)) });
  }, [readOnly]);

  useEffect(() => {
    const made = view.current;
    if (!made) return;
    const length = made.state.doc.length;
    const within = marks.filter((mark) => mark.from <= length);
    const list: Diagnostic[] = within.map((mark) => ({ ...mark, to: Math.min(mark.to, length) }));
    made.dispatch(setDiagnostics(made.state, list.sort((a, b) => a.from - b.from)));
  }, [marks]);

  useEffect(() => {
    const made = view.current;
    if (!goTo || !made) return;
    const anchor = Math.min(goTo.at, made.state.doc.length);
    made.dispatch({ selection: { anchor }, effects: EditorView.scrollIntoView(anchor, { y: 'center' }) });
    made.focus();
  }, [goTo]);

  return <div ref={host} data-testid="editor" />;
}
